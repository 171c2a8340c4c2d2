import connectPgSimple from 'connect-pg-simple'
import { RedisStore } from 'connect-redis'
import expressSession, { type Store } from 'express-session'
import pg from 'pg'
import { createClient } from 'redis'

/** `generic`: the same as MemoryStore, of a class of its own, so that no driver knows it. */
export type StoreName = 'memory' | 'generic' | 'redis' | 'postgres'

export const STORE_TITLES: Record<StoreName, string> = {
  memory: 'MemoryStore',
  generic: 'any other store',
  redis: 'Redis',
  postgres: 'Postgres',
}

/** Where the servers of a run are. */
export interface Urls {
  redis?: string
  postgres?: string
}

export interface Calls {
  reads: number
  writes: number
}

export interface OpenStore {
  store: Store
  /** Counted where every contender has to pass: at the client, or at the store that has none to be seen. */
  counted: Counted
}

/** Several contenders share one Redis and one Postgres, and must not meet there. @param owner whose sessions these are */
export async function openStore(name: StoreName, urls: Urls, owner: string): Promise<OpenStore> {
  if (name === 'memory') return countingTexts(new expressSession.MemoryStore())
  if (name === 'generic') return counting(new (class extends expressSession.MemoryStore {})())
  if (name === 'redis') {
    const client = createClient({ url: urls.redis! })
    client.on('error', () => undefined)
    await client.connect()
    const counted = new Counted(client, { reads: ['get', 'mGet'], writes: ['set', 'eval', 'evalSha'] })
    return { store: new RedisStore({ client, prefix: `${owner}:` }), counted }
  }
  const pool = new pg.Pool({ connectionString: urls.postgres!, max: 8 })
  pool.on('error', () => undefined)
  const tableName = `session_${owner}`
  await pool.query(
    `CREATE TABLE IF NOT EXISTS ${tableName} (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)`,
  )
  const store = new (connectPgSimple(expressSession))({ pool, tableName, pruneSessionInterval: false })
  // Methods of the benchmark's on the store would keep its driver away.
  const counted = new Counted({}, { reads: [], writes: [] })
  counted.count(pool, 'query', (statement) => (/^\s*select/i.test(textOf(statement)) ? 'reads' : 'writes'))
  return { store, counted }
}

function textOf(statement: unknown): string {
  return typeof statement === 'string' ? statement : String(Object(statement).text)
}

function counting(store: Store): OpenStore {
  return { store, counted: new Counted(store, { reads: ['get'], writes: ['set'] }) }
}

/** A MemoryStore with methods of the benchmark's on it would not be taken for one: what it keeps is counted where it keeps it. */
function countingTexts(store: Store): OpenStore {
  const held = store as unknown as { sessions: Record<string, string> }
  const counted = new Counted({}, { reads: [], writes: [] })
  held.sessions = new Proxy(held.sessions, {
    get(sessions, sid: string) {
      counted.calls.reads++
      return sessions[sid]
    },
    set(sessions, sid: string, text: string) {
      counted.calls.writes++
      sessions[sid] = text
      return true
    },
  })
  return { store, counted }
}

/** Counts calls of an object's methods, and knows which are unanswered: those with a callback, and those that give a promise. */
export class Counted {
  readonly calls: Calls = { reads: 0, writes: 0 }
  #pending = 0

  constructor(target: object, methods: Record<keyof Calls, string[]>) {
    for (const kind of ['reads', 'writes'] as const) for (const method of methods[kind]) this.count(target, method, () => kind)
  }

  /** Resolves when every call so far is answered, and those that came of them. */
  async settled(): Promise<void> {
    for (let quiet = 0; quiet < 3; quiet = this.#pending === 0 ? quiet + 1 : 0) {
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  /** @param kindOf tells by a call's first argument what it is */
  count(target: object, method: string, kindOf: (first: unknown) => keyof Calls): void {
    const original = (target as Record<string, (...args: any[]) => any>)[method]!
    const answered = (): void => void this.#pending--
    const begun = (kind: keyof Calls): void => {
      this.calls[kind]++
      this.#pending++
    }
    // Called on whatever it was called on: the target, or an object with other options that inherits from it.
    const value = function (this: unknown, ...args: any[]): unknown {
      begun(kindOf(args[0]))
      const callback = args.at(-1)
      if (typeof callback === 'function') {
        args[args.length - 1] = (...answer: unknown[]) => {
          answered()
          return callback(...answer)
        }
        return original.apply(this, args)
      }
      const result = original.apply(this, args)
      if (result instanceof Promise) result.then(answered, answered)
      else answered()
      return result
    }
    Object.defineProperty(target, method, { value, writable: true, configurable: true })
  }
}
