import type { SessionData } from 'express-session'
import session from 'express-session'
import { expiryOf } from '../../src/store/cookie-json.js'
import { type CompareAndSetDriver, IndeterminateWriteError, type WriteResult } from '../../src/store/drivers/driver.js'
import { Snapshot } from '../../src/store/snapshot.js'
import type { OutgoingMessage, TtlPolicy } from '../../src/store/transaction.js'
import type { Answer, CallKind, Database, Sent } from './database.js'
import type { Profile } from './profile.js'
import type { Process } from './world.js'

const DAY = 86_400_000
/** Writes that were under way at the same time, or that are sent again. */
const MOST_REFUSALS = 4

export type Client = Process & { dead: boolean }

type Callback = (error?: unknown, session?: SessionData | null) => void

/** One node's client of the simulated store, as express-session has it. Its driver is {@link SimulatedDriver} where the store compares. */
export class SimulatedStore extends session.Store {
  readonly simulatedDriver: CompareAndSetDriver | undefined
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
    const ttl = ttlOf(JSON.parse(text).cookie)
    this.#call(
      'write',
      sid,
      (sent) => this.#database.put(sid, text, ttl, sent),
      callback,
      () => callback(),
    )
  }

  override touch(sid: string, session: SessionData, callback: Callback): void {
    const ttl = ttlOf(JSON.parse(JSON.stringify(session)).cookie)
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
    this.#database.call(
      this.#client,
      kind,
      sid,
      action,
      (answer) => {
        if (answer.is === 'done') done(answer.value)
        else callback(new Error(answer.is))
      },
      'answered',
    )
  }
}

/** A driver that compares and sets on the simulated store. */
export class SimulatedDriver implements CompareAndSetDriver {
  readonly name = 'redis'
  readonly compares = true
  readonly missingValue = null
  readonly touchDisabled: boolean
  readonly #database: Database
  readonly #client: Client
  /** How often a write was refused, by its session and what it expected. */
  readonly #refusals = new Map<string, number>()

  constructor(database: Database, client: Client, touchDisabled: boolean) {
    this.#database = database
    this.#client = client
    this.touchDisabled = touchDisabled
  }

  async read(sid: string): Promise<Snapshot | undefined> {
    return snapshotOf(await this.#call('read', sid, () => this.#database.find(sid)?.text))
  }

  async readMany(sids: readonly string[]): Promise<(Snapshot | undefined)[]> {
    return (await this.#call('read', sids.join(), () => sids.map((sid) => this.#database.find(sid)?.text))).map(snapshotOf)
  }

  write(
    sid: string,
    snapshot: Snapshot,
    expected: Snapshot | undefined,
    ttl: TtlPolicy,
    message?: OutgoingMessage,
  ): Promise<WriteResult> {
    const text = snapshot.toText()
    const etag = expected && (expected.etag as string)
    const ms = ttlOf(snapshot.cookie)
    const write = (sent: Sent): { written: boolean; instead: string | undefined } => {
      const result = this.#database.compareAndSet(sid, etag, text, ms, ttl, sent)
      if (result.written && message) this.#database.publish(message, this.#client)
      return result
    }
    return new Promise((resolve, reject) => {
      const answered = (answer: Answer<ReturnType<typeof write>>): void => {
        if (answer.is === 'refused') reject(new Error('refused'))
        else if (answer.is === 'lost') reject(new IndeterminateWriteError(new Error('lost')))
        else if (answer.value.written) resolve({ written: true, current: snapshot.storedAs(text, text) })
        else {
          this.#noteRefusal(sid, etag)
          resolve({ written: false, current: snapshotOf(answer.value.instead), resent: answer.doubled })
        }
      }
      // A first write that arrives late could bring back a session that was destroyed meanwhile: no comparison tells the two apart.
      this.#database.call(this.#client, 'write', sid, write, answered, expected ? 'any' : 'never')
    })
  }

  #noteRefusal(sid: string, etag: string | undefined): void {
    const key = `${sid} ${etag}`
    const count = (this.#refusals.get(key) ?? 0) + 1
    this.#refusals.set(key, count)
    if (count > MOST_REFUSALS)
      this.#database.violate(`${this.#client.name} expects again what was refused before of session ${sid}`)
  }

  touch(sid: string, snapshot: Snapshot): Promise<boolean> {
    const ttl = ttlOf(snapshot.cookie)
    return this.#call('touch', sid, () =>
      this.touchDisabled ? this.#database.find(sid) !== undefined : this.#database.touch(sid, ttl),
    )
  }

  async destroy(sid: string, message?: OutgoingMessage): Promise<void> {
    await this.#call('destroy', sid, () => {
      this.#database.remove(sid)
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

function snapshotOf(text: string | undefined): Snapshot | undefined {
  return text === undefined ? undefined : Snapshot.from(text, text)
}

function ttlOf(cookie: Parameters<typeof expiryOf>[0]): number {
  const end = expiryOf(cookie)
  return end === undefined ? DAY : end - Date.now()
}
