import { strict as assert } from 'node:assert'
import { randomUUID } from 'node:crypto'
import type { StoreDriver, StoredSession, WriteAnswer } from '../store/drivers/store-driver.js'

/** What loses requests and answers between the driver and its server, as a proxy in between does. */
export interface DriverNetwork {
  /** Cuts the connection of the next write before the server gets it. @returns when it is cut */
  loseRequest(): Promise<unknown>
  /** Cuts the connection of the next write when the server has done it, and before its answer arrives. @returns when it is cut */
  loseAnswer(): Promise<unknown>
  /**
   * Cuts the connection of the next write, and keeps what was sent. Absent: the case is left out.
   * @returns `cut` resolves when it is cut. `deliver()` hands the write to the server, and resolves when the server has answered
   */
  delayRequest?(): { cut: Promise<unknown>; deliver(): Promise<unknown> }
  /** Cuts all connections, and each new one at once, until `up()`. */
  down(): void
  up(): void
}

/** The part of an express-session store that the cases call. */
export interface TestedStore {
  get(sid: string, callback: (error: unknown, session?: object | null) => void): unknown
  set(sid: string, session: never, callback: (error?: unknown) => void): unknown
  destroy(sid: string, callback: (error?: unknown) => void): unknown
  createSession(request: never, session: never): object
}

/** What the cases need. */
export interface DriverFixture {
  /** The driver. Its store may hold sessions already: each case makes its own, with new ids. */
  driver: StoreDriver
  /** The store that it drives. Absent: the cases that look at what the store's own methods read and write are left out. */
  store?: TestedStore
  /** Another driver for the same sessions, on connections of its own, as another process has it. Absent: the cases of two processes are left out. */
  second?: StoreDriver
  /** The store takes ids for the same that differ by case only. The case that tells them apart is left out. @default false */
  foldsCase?: boolean
  /** How large a session can be, in bytes. Absent: 1,100,000, which is the default of `sharedsession()`, the cookie and the history. */
  maxBytes?: number
  /** ms that a session has left, by the store's own account. Absent: the cases that need to know are left out. */
  left?(sid: string): Promise<number>
  /** Absent: the cases of lost answers and outages are left out. */
  network?: DriverNetwork
}

/** Cases by their names. */
export type Cases = Record<string, () => Promise<void>>

/** The end of a session that lives for so many ms from now on. */
export function endIn(ms: number): Date {
  return new Date(Date.now() + ms)
}

export const HOUR = 3_600_000

/** ms to an end that has passed, also for a store that counts in seconds. */
export const OVER = -5000

/** Those that write at once. */
export const WRITERS = Array.from({ length: 8 }, (_, n) => n)

/** Drivers for the same sessions, each as in a process of its own. */
export type Drivers = readonly [StoreDriver, ...StoreDriver[]]

export function newSid(): string {
  return randomUUID()
}

/** The library keeps in the stored cookie which commits led to a session. */
const HISTORY = { v: 2, ids: ['Yk3vB0iX9aQe', 'p1-Lr7sTz0Wd'], movedTo: '0aGf_4mNq8Hc' }

/** The JSON of a session. @param members the members beside the cookie, as JSON, in their order. @param expires `null`: it has no end */
export function textOf(members: string, expires: Date | null = endIn(HOUR)): string {
  return `{"cookie":${JSON.stringify({ ...cookieOf(expires), sharedsession: HISTORY })},${members}}`
}

/** As the application has it. */
function cookieOf(expires: Date | null): Record<string, unknown> {
  const life = { originalMaxAge: expires && HOUR, expires: expires?.toISOString() ?? null }
  return { ...life, secure: true, httpOnly: true, path: '/', sameSite: 'lax' }
}

/** Touches a session of the member `n`. */
export function touch(driver: StoreDriver, sid: string, expires: Date | undefined): Promise<boolean> {
  return driver.touch(sid, expires, { cookie: cookieOf(expires ?? null), text: textOf('"n":1', expires ?? null) })
}

/** Writes a text that lives for an hour. */
export function write(driver: StoreDriver, sid: string, text: string, expected: StoredSession | undefined): Promise<WriteAnswer> {
  return driver.write(sid, { text, expires: endIn(HOUR), atLeast: true }, expected)
}

/** Writes, and fails if the driver refuses. @returns what a later write has to expect */
export async function written(
  driver: StoreDriver,
  sid: string,
  text: string,
  expected?: StoredSession | undefined,
): Promise<StoredSession> {
  return after(text, await write(driver, sid, text, expected))
}

/** What a later write has to expect. */
export function after(text: string, answer: WriteAnswer): StoredSession {
  assert.ok(answer.written, 'the write was refused')
  return answer.stored ?? { text }
}

/** Stores a session whose end has passed. */
export async function writtenOver(driver: StoreDriver, sid: string): Promise<StoredSession> {
  const text = textOf('"n":1', endIn(OVER))
  const first = await written(driver, sid, textOf('"n":0'))
  return after(text, await driver.write(sid, { text, expires: endIn(OVER), atLeast: false }, first))
}

/** Eight create a session where nothing is there, with the drivers in turn. Fails unless one of them has created it. */
export async function oneCreates(drivers: Drivers, sid: string): Promise<void> {
  const texts = WRITERS.map((n) => textOf(`"winner":${n}`))
  const driverOf = (n: number): StoreDriver => drivers[n % drivers.length] ?? drivers[0]
  const answers = await Promise.all(texts.map((text, n) => write(driverOf(n), sid, text, undefined)))
  const winners = texts.filter((_, n) => answers[n]?.written)
  assert.equal(winners.length, 1)
  for (const driver of drivers) assertText(await driver.read(sid), String(winners[0]))
}

/** Fails if the write was not refused, or if what it hands out is not what the store holds. */
export async function refused(driver: StoreDriver, sid: string, answer: WriteAnswer): Promise<StoredSession | undefined> {
  assert.equal(answer.written, false, 'the write was not refused')
  const held = await driver.read(sid)
  if (!answer.written && 'stored' in answer) {
    assert.equal(answer.stored === undefined, held === undefined, 'the refusal hands out something else than the store holds')
    if (held && answer.stored) assertSame(answer.stored, held)
  }
  return held
}

/** The same content, under the same token. */
export function assertSame(actual: StoredSession, expected: StoredSession): void {
  assertText(actual, expected.text)
  assert.equal(actual.token, expected.token, 'the token of the same content is another one')
}

/** The same but for the end in the cookie: there are stores that have no other place for it. */
export function assertSameButEnd(actual: StoredSession | undefined, text: string): asserts actual {
  assert.ok(actual, 'the session is missing')
  assert.deepEqual(withoutEnd(actual.text), withoutEnd(text))
}

function withoutEnd(text: string): object {
  const { cookie, ...data } = JSON.parse(text)
  return { ...data, cookie: { ...cookie, expires: undefined } }
}

/** The same JSON: a store may write it otherwise than it was given it. */
export function assertText(actual: StoredSession | undefined, text: string): asserts actual {
  assert.ok(actual, 'the session is missing')
  assert.deepEqual(JSON.parse(actual.text), JSON.parse(text))
}
