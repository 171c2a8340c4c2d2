import type { Cookie, SessionData } from 'express-session'
import { operation } from '../operation.js'
import type { StoreMethods } from '../raw.js'

const ONE_DAY = 86_400

type Query = (text: string, values: unknown[], done: (error: unknown, row?: unknown) => void) => void

/** The public face of a connect-pg-simple store. */
interface PostgresStore {
  query: Query
  quotedTable(): string
  ttl?: number
}

/** The first row of an answer. */
export type Row = Record<string, unknown>

/** The table of a connect-pg-simple store. */
export class PostgresTable {
  /** Quoted, with its schema. */
  readonly name: string
  /** Touches do nothing to the row. */
  readonly untouched: boolean
  readonly #store: PostgresStore

  private constructor(store: PostgresStore, untouched: boolean) {
    this.#store = store
    this.name = store.quotedTable()
    this.untouched = untouched
  }

  /** @returns `undefined` for a store that is not connect-pg-simple */
  static of(store: object, methods: Pick<StoreMethods, 'touch'>): PostgresTable | undefined {
    const { query, quotedTable } = store as Partial<PostgresStore>
    if (typeof query !== 'function' || typeof quotedTable !== 'function') return undefined
    return new PostgresTable(store as PostgresStore, isUntouched(store as PostgresStore, methods.touch))
  }

  /** Runs one statement on the store's own pool, whatever that is; the store creates its table first if it was told to. */
  query(text: string, values: unknown[]): Promise<Row | undefined> {
    return operation<Row | undefined>((done) => this.#store.query(text, values, done as (error: unknown, row?: unknown) => void))
  }

  /** When the session ends, in seconds since the epoch, as connect-pg-simple computes it. */
  end({ expires }: Cookie): number {
    return Math.ceil(expires ? new Date(expires).getTime() / 1000 : Date.now() / 1000 + (this.#store.ttl || ONE_DAY))
  }
}

/**
 * The store's `disableTouch` is private. A touch that does nothing calls back at once and sends no query: asked once, with a query in
 * between that goes nowhere. All of it happens within this call. It starts the store's pruning too, which its own methods do and
 * `query` does not.
 */
function isUntouched(store: PostgresStore, touch: StoreMethods['touch']): boolean {
  if (!touch) return true
  const original = Object.getOwnPropertyDescriptor(store, 'query')
  let queried = false
  let answered = false
  const listen: Query = () => {
    queried = true
  }
  Object.defineProperty(store, 'query', { value: listen, configurable: true })
  try {
    touch('', { cookie: {} } as unknown as SessionData, () => {
      answered = true
    })
    return answered && !queried
  } finally {
    if (original) Object.defineProperty(store, 'query', original)
    else Reflect.deleteProperty(store, 'query')
  }
}
