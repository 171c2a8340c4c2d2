import type { SessionData } from 'express-session'
import session from 'express-session'
import {
  type DriverMessage,
  IndeterminateWriteError,
  type NextSession,
  type StoreDriver,
  type StoredSession,
  type WriteAnswer,
} from '../../src/driver.js'
import { commitLog } from './commit-log.js'
import type { Answer, CallKind, Database, Sent } from './database.js'
import type { Profile } from './profile.js'
import type { Process } from './world.js'

const DAY = 86_400_000
/** A read that was under way may bring back what a refusal has shown to be old. */
const MOST_AGAIN = 3

export type Client = Process & { dead: boolean }

type Callback = (error?: unknown, session?: SessionData | null) => void

/** One node's client of the simulated store, as express-session has it. Its driver is {@link SimulatedDriver} where the store compares. */
export class SimulatedStore extends session.Store {
  readonly simulatedDriver: StoreDriver | undefined
  readonly #database: Database
  readonly #client: Client
  readonly #touchDisabled: boolean

  constructor(database: Database, client: Client, { store, touchDisabled }: Profile) {
    super()
    this.#database = database
    this.#client = client
    this.#touchDisabled = touchDisabled
    if (store === 'comparing') this.simulatedDriver = new SimulatedDriver(database, client, touchDisabled)
  }

  get disableTouch(): boolean {
    return this.#touchDisabled
  }

  override get(sid: string, callback: Callback): void {
    this.#call(
      'read',
      sid,
      () => this.#database.find(sid)?.text,
      callback,
      (text) => callback(null, text === undefined ? null : JSON.parse(text)),
    )
  }

  override set(sid: string, session: SessionData, callback: Callback): void {
    const text = JSON.stringify(session)
    const ttl = ttlOf(session)
    this.#call(
      'write',
      sid,
      (sent) => this.#database.put(sid, text, ttl, sent),
      callback,
      () => callback(),
    )
  }

  override touch(sid: string, session: SessionData, callback: Callback): void {
    const ttl = ttlOf(session)
    this.#call(
      'touch',
      sid,
      () => this.#touchDisabled || this.#database.touch(sid, ttl),
      callback,
      () => callback(),
    )
  }

  override destroy(sid: string, callback: Callback): void {
    this.#call(
      'destroy',
      sid,
      () => this.#database.remove(sid),
      callback,
      () => callback(),
    )
  }

  #call<T>(kind: CallKind, sid: string, action: (sent: Sent) => T, callback: Callback, done: (value: T) => void): void {
    // After `close()` express-session calls these methods itself, and has no time limit for a call that is never answered.
    const isAlone = !Object.hasOwn(this, 'set')
    this.#database.call(
      this.#client,
      kind,
      sid,
      action,
      (answer) => {
        if (answer.is === 'done') done(answer.value)
        else callback(new Error(answer.is))
      },
      isAlone ? 'alone' : 'answered',
    )
  }
}

/** A driver that compares and sets on the simulated store. */
export class SimulatedDriver implements StoreDriver {
  readonly name = 'redis'
  readonly opaque = false
  readonly missingValue = null
  readonly touchDisabled: boolean
  readonly #database: Database
  readonly #client: Client
  /** What the store has refused, by session and what was expected there: what was to be written there after that. */
  readonly #refused = new Map<string, Set<string>>()

  constructor(database: Database, client: Client, touchDisabled: boolean) {
    this.#database = database
    this.#client = client
    this.touchDisabled = touchDisabled
  }

  async read(sid: string): Promise<StoredSession | undefined> {
    const text = await this.#call('read', sid, () => this.#database.find(sid)?.text)
    commitLog.current?.learned(this.#client.name, sid, text)
    return storedAs(text)
  }

  async readMany(sids: readonly string[]): Promise<(StoredSession | undefined)[]> {
    const texts = await this.#call('read', sids.join(), () => sids.map((sid) => this.#database.find(sid)?.text))
    for (const [index, text] of texts.entries()) commitLog.current?.learned(this.#client.name, sids[index] as string, text)
    return texts.map(storedAs)
  }

  write(
    sid: string,
    { text, expires, atLeast }: NextSession,
    expected: StoredSession | undefined,
    message?: DriverMessage,
  ): Promise<WriteAnswer> {
    const ms = msUntil(expires)
    const { name } = this.#client
    const log = commitLog.current
    const call = log?.sent(name, sid, expected?.text, text) ?? 0
    const write = (sent: Sent): { written: boolean; instead: string | undefined } => {
      const result = this.#database.compareAndSet(sid, expected?.text, text, ms, atLeast ? 'extend' : 'exact', sent)
      log?.done(call, sid, result.written, text)
      if (result.written && message) this.#database.publish(message, this.#client)
      return result
    }
    const key = `${sid} ${expected?.text}`
    const again = this.#refused.get(key)?.add(text)
    if (again && again.size > MOST_AGAIN)
      this.#database.violate(`${this.#client.name} expects again what was refused before of session ${sid}`)
    return new Promise((resolve, reject) => {
      const answered = (answer: Answer<ReturnType<typeof write>>): void => {
        log?.answered(call, sid, answer.is, answer.is === 'done' && answer.doubled)
        if (answer.is === 'done') log?.learned(name, sid, answer.value.written ? text : answer.value.instead)
        if (answer.is === 'refused') reject(new Error('refused'))
        else if (answer.is === 'lost') reject(new IndeterminateWriteError(new Error('lost')))
        else if (answer.value.written) resolve({ written: true })
        else {
          if (!again) this.#refused.set(key, new Set())
          resolve({ written: false, stored: storedAs(answer.value.instead), resent: answer.doubled })
        }
      }
      // A first write that arrives late could bring back a session that was destroyed meanwhile: no comparison tells the two apart.
      this.#database.call(this.#client, 'write', sid, write, answered, expected ? 'any' : 'never')
    })
  }

  touch(sid: string, expires: Date | undefined): Promise<boolean> {
    const ttl = msUntil(expires)
    return this.#call('touch', sid, () =>
      this.touchDisabled ? this.#database.find(sid) !== undefined : this.#database.touch(sid, ttl),
    )
  }

  async destroy(sid: string, message?: DriverMessage): Promise<void> {
    await this.#call('destroy', sid, () => {
      this.#database.remove(sid, this.#client)
      if (message) this.#database.publish(message, this.#client)
    })
  }

  #call<T>(kind: CallKind, sid: string, action: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#database.call(
        this.#client,
        kind,
        sid,
        action,
        (answer) => {
          if (answer.is === 'done') resolve(answer.value)
          else reject(new Error(answer.is))
        },
        'any',
      )
    })
  }
}

function storedAs(text: string | undefined): StoredSession | undefined {
  return text === undefined ? undefined : { text }
}

function ttlOf({ cookie }: SessionData): number {
  const { expires }: { expires?: string | null } = JSON.parse(JSON.stringify(cookie))
  return msUntil(expires ? new Date(expires) : undefined)
}

function msUntil(end: Date | undefined): number {
  return end === undefined ? DAY : end.getTime() - Date.now()
}
