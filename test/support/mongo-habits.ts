import expressSession, { type SessionData } from 'express-session'

interface Row {
  session: string
  expires: number
  lastModified: Date
}

// As loose as stores and their callers are.
type Callback = (error?: any, value?: any) => void

/**
 * A store with the habits of connect-mongo with `touchAfter`, read in its source: `get` puts a Date `lastModified` into what it hands
 * out, `set` takes it away from what it is given, `touch` calls a method of it, fails on a missing session and leaves the stored
 * cookie as it was, and a callback that throws is called once more.
 */
export class MongoHabits extends expressSession.Store {
  readonly rows = new Map<string, Row>()
  /** Calls back this often. */
  times = 2

  get(sid: string, callback: Callback): void {
    this.#answer(callback, () => {
      const row = this.rows.get(sid)
      if (!row || row.expires <= Date.now()) return null
      return { ...JSON.parse(row.session), lastModified: row.lastModified }
    })
  }

  set(sid: string, session: SessionData & { lastModified?: Date }, callback?: Callback): void {
    this.#answer(callback, () => {
      delete session.lastModified
      this.rows.set(sid, { session: JSON.stringify(session), expires: endOf(session), lastModified: new Date() })
    })
  }

  override touch(sid: string, session: SessionData & { lastModified?: Date }, callback?: Callback): void {
    this.#answer(callback, () => {
      session.lastModified?.getTime()
      const row = this.rows.get(sid)
      if (!row) throw new Error('Unable to find the session to touch')
      Object.assign(row, { expires: endOf(session), lastModified: new Date() })
    })
  }

  destroy(sid: string, callback?: Callback): void {
    this.#answer(callback, () => void this.rows.delete(sid))
  }

  #answer(callback: Callback | undefined, work: () => unknown): void {
    setImmediate(() => {
      let error: unknown = null
      let value: unknown
      try {
        value = work()
      } catch (thrown) {
        error = thrown
      }
      for (let time = 0; time < this.times; time++) callback?.(error, value)
    })
  }
}

function endOf({ cookie }: SessionData): number {
  return cookie.expires ? new Date(cookie.expires).getTime() : Date.now() + 14 * 86_400_000
}
