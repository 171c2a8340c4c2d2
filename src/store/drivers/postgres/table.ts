import { promisifyStoreCall } from '../../original-store.js'
import { foreignMethods, type Methods, packageMethod } from '../../own-methods.js'
import { withoutContents } from '../errors.js'
import type { Row, Table } from './driver.js'
import type { TableNames } from './statements.js'

const ONE_DAY = 86_400

type Query = (text: string, values: unknown[], done: (error: unknown, row?: unknown) => void) => void

/** The public members of a connect-pg-simple store. */
interface PostgresStore {
  query: Query
  quotedTable(): string
  ttl?: number
}

/** The names that connect-pg-simple's methods access: 9 and 10; 7 and 8, which prune without waiting for a first call. */
const METHODS: Methods = {
  get: ['#initPruneTimer destroy parse query quotedTable', 'destroy parse query quotedTable'],
  set: ['#getExpireTime #initPruneTimer query quotedTable', '#getExpireTime query quotedTable'],
  touch: ['#disableTouch #getExpireTime #initPruneTimer query quotedTable', '#disableTouch #getExpireTime query quotedTable'],
  destroy: ['#initPruneTimer query quotedTable', 'query quotedTable'],
}

/** The table of a connect-pg-simple store. */
export class PostgresTable implements Table {
  readonly done = [null]
  touchDisabled: boolean | undefined
  readonly #store: PostgresStore
  #isPruning = false

  private constructor(store: PostgresStore) {
    this.#store = store
  }

  /** @returns `undefined` for a store that is not connect-pg-simple */
  static of(store: object): PostgresTable | undefined {
    return isPostgresStore(store) ? new PostgresTable(store) : undefined
  }

  /** The store's methods that are not connect-pg-simple's own. */
  static foreign(store: object): string[] {
    return foreignMethods(store, METHODS)
  }

  get names(): TableNames {
    return { table: this.#store.quotedTable(), sid: 'sid', expire: 'expire' }
  }

  /** On the store's own pool. The store creates its table first if it is configured to. */
  query(text: string, values: unknown[]): Promise<Row | undefined> {
    return promisifyStoreCall<Row | undefined>((done) =>
      this.#store.query(text, values, (error, row) => done(withoutContents(error), row as Row | undefined)),
    )
  }

  /** The first call of the store's own methods starts its pruning, `query` does not. */
  onUse(sid: string): void {
    if (this.#isPruning) return
    this.#isPruning = true
    this.#wouldQuery('get', sid, ignore)
  }

  /** The store's `disableTouch` is private, but it sends no query where that is set. */
  touches(sid: string): boolean {
    this.touchDisabled ??= !this.#wouldQuery('touch', sid, {}, ignore)
    return !this.touchDisabled
  }

  end(expires: Date | undefined): number {
    return Math.ceil(expires ? expires.getTime() / 1000 : Date.now() / 1000 + (this.#store.ttl || ONE_DAY))
  }

  get now(): number {
    return Math.ceil(Date.now() / 1000)
  }

  /** Calls connect-pg-simple's own method, but keeps its query back: the driver sends another one. @returns whether it had a query */
  #wouldQuery(name: 'get' | 'touch', ...args: unknown[]): boolean {
    const method = packageMethod(this.#store, name, METHODS)
    if (!method) return true
    const original = Object.getOwnPropertyDescriptor(this.#store, 'query')
    let queried = false
    const value: Query = () => {
      queried = true
    }
    Object.defineProperty(this.#store, 'query', { value, configurable: true })
    try {
      method(...(args as never[]))
    } catch {
      // A proxy before the store, on which the application insists: its private members are out of reach.
      return true
    } finally {
      if (original) Object.defineProperty(this.#store, 'query', original)
      else Reflect.deleteProperty(this.#store, 'query')
    }
    return queried
  }
}

function isPostgresStore(store: object): store is PostgresStore {
  const { query, quotedTable } = store as Partial<PostgresStore>
  return typeof query === 'function' && typeof quotedTable === 'function'
}

function ignore(): void {}
