import expressSession from 'express-session'
import { deferred } from './wait.js'

export type Method = 'get' | 'set' | 'touch' | 'destroy'
type Callback = (error?: unknown, value?: unknown) => void

/** One call of the store, held until the test decides what becomes of it. */
export interface Held {
  /** Resolves with the session's id when the call has come in; with `afterwards` when it has also been carried out. */
  readonly called: Promise<string>
  /** Carries the call out (where it has not been) and answers it. */
  release(): void
  /** Answers with an error; without `afterwards` the call is not carried out. */
  fail(error?: Error): void
}

interface Rule {
  method: Method
  sid: string | undefined
  meet(call: Call): void
}

interface Call {
  method: Method
  sid: string
  /** The store's own method, with another callback. */
  run(callback: Callback): void
  answer: Callback
}

/**
 * express-session's MemoryStore, whose calls can be held, failed, thrown or left unanswered, one by one.
 * Each of `hold`, `fail`, `throw`, `hang` and `pass` is for one coming call of that method; several are met in the order in which
 * they were asked for, and calls that nothing was asked for go through.
 *
 * ```ts
 * const get = store.hold('get')          // the next get comes in and stops
 * const client = browser.open()
 * await get.called
 * await store.gone(sid)                  // meanwhile
 * get.release()                          // carried out now
 * ```
 */
export class ControlledStore extends expressSession.MemoryStore {
  /** Every call so far. */
  readonly calls: { method: Method; sid: string }[] = []
  readonly #rules: Rule[] = []
  #down: Error | undefined

  /**
   * Holds the next such call.
   * @param afterwards carry it out first and hold only its answer: what was read is then older than what happens meanwhile
   * @param sid only a call for this session
   */
  hold(method: Method, { afterwards = false, sid }: { afterwards?: boolean; sid?: string } = {}): Held {
    const called = deferred<string>()
    const met = deferred<{ call: Call; result?: unknown[] }>()
    this.#expect(method, sid, (call) => {
      const arrived = (result?: unknown[]): void => {
        met.resolve({ call, ...(result && { result }) })
        called.resolve(call.sid)
      }
      if (afterwards) call.run((...result) => arrived(result))
      else arrived()
    })
    return {
      called: called.promise,
      release: () => void met.promise.then(({ call, result }) => (result ? call.answer(...result) : call.run(call.answer))),
      fail: (error = new Error('the store failed')) => void met.promise.then(({ call }) => call.answer(error)),
    }
  }

  /** The next such call is answered with an error and not carried out. */
  fail(method: Method, error = new Error('the store failed'), sid?: string): void {
    this.#expect(method, sid, ({ answer }) => setImmediate(answer, error))
  }

  /** The next such call throws synchronously. */
  throw(method: Method, error = new Error('the store threw')): void {
    this.#expect(method, undefined, () => {
      throw error
    })
  }

  /** The next such call is never answered, and not carried out. */
  hang(method: Method, sid?: string): void {
    this.#expect(method, sid, () => {})
  }

  /** The next such call goes through: for what is asked about the one after it. */
  pass(method: Method, sid?: string): void {
    this.#expect(method, sid, (call) => call.run(call.answer))
  }

  /** Every call fails, until `up()`. */
  down(error = new Error('the store is down')): void {
    this.#down = error
  }

  up(): void {
    this.#down = undefined
  }

  /** How often a method was called so far. */
  count(method: Method): number {
    return this.calls.filter((call) => call.method === method).length
  }

  /** What is stored under an id now, past all control; `undefined` for nothing. */
  stored(sid: string): Record<string, any> | undefined {
    const json = this.#sessions[sid]
    return json === undefined ? undefined : JSON.parse(json)
  }

  /** The ids of what is stored now. */
  ids(): string[] {
    return Object.keys(this.#sessions)
  }

  /** Takes a session out of the store without a word, as another process or an expiry would. */
  gone(sid: string): void {
    delete this.#sessions[sid]
  }

  /** Puts a session into the store without a word, as a foreign process would. Keeps the stored cookie if none is given. */
  foreign(sid: string, data: object): void {
    this.#sessions[sid] = JSON.stringify({ cookie: this.stored(sid)?.cookie ?? { path: '/', originalMaxAge: null }, ...data })
  }

  override get(sid: string, callback: (error: any, session?: any) => void): void {
    this.#come('get', sid, callback as Callback, (done) => super.get(sid, done))
  }

  override set(sid: string, session: any, callback?: (error?: any) => void): void {
    this.#come('set', sid, callback as Callback, (done) => super.set(sid, session, done))
  }

  override touch(sid: string, session: any, callback?: () => void): void {
    this.#come('touch', sid, callback as Callback, (done) => super.touch(sid, session, done as () => void))
  }

  override destroy(sid: string, callback?: (error?: any) => void): void {
    this.#come('destroy', sid, callback as Callback, (done) => super.destroy(sid, done))
  }

  get #sessions(): Record<string, string> {
    return (this as any).sessions
  }

  #expect(method: Method, sid: string | undefined, meet: (call: Call) => void): void {
    this.#rules.push({ method, sid, meet })
  }

  #come(method: Method, sid: string, callback: Callback | undefined, run: (callback: Callback) => void): void {
    this.calls.push({ method, sid })
    const answer: Callback = callback ?? (() => {})
    const at = this.#rules.findIndex((rule) => rule.method === method && (rule.sid === undefined || rule.sid === sid))
    const rule = at < 0 ? undefined : this.#rules.splice(at, 1)[0]
    if (rule) rule.meet({ method, sid, run, answer })
    else if (this.#down) setImmediate(answer, this.#down)
    else run(answer)
  }
}
