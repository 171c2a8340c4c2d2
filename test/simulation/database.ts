import { withoutHistory } from '../../src/store/commit-history.js'
import type { DriverMessage } from '../../src/store/drivers/store-driver.js'
import type { TtlPolicy } from '../../src/store/transaction.js'
import type { Profile } from './profile.js'
import type { Process, World } from './world.js'

export interface Row {
  text: string
  /** ms of the simulation; infinite for a session that does not expire. */
  expires: number
}

/** How a call came to the server. */
export interface Sent {
  /** ms of the simulation. */
  at: number
  /** Its client may have given it up meanwhile. */
  late: boolean
}

/** What became of a call, as its client sees it. */
export type Answer<T> =
  | { is: 'done'; value: T; doubled: boolean }
  /** The server refused it: nothing was done. */
  | { is: 'refused' }
  /** The connection is lost: it may have been done, and may still be. */
  | { is: 'lost' }

export type CallKind = 'read' | 'write' | 'touch' | 'destroy'

/** What the server tells the invariants. */
export interface Witness {
  /** A write has been done; if its end has passed already, the session is gone at once. */
  wrote(sid: string, text: string): void
  stored(sid: string, text: string, before: string | undefined, sent: Sent): void
  /** @param expired when its life was over; absent where somebody has removed it */
  removed(sid: string, expired?: number): void
  /** A process has ended a session that is not there. */
  foundNothing(sid: string, from: Process): void
}

/** `alone`: as `answered`, and each call is answered, as nobody gives it up. */
export type Lateness = 'any' | 'answered' | 'alone' | 'never'

/** ms: shorter than what clients wait for an answer. */
const MOST_IN_TIME = 200

/** How a call travels. */
interface Fate {
  /** ms until it is done; `undefined`: never. */
  done: number | undefined
  doubled: boolean
  answer: 'done' | 'refused' | 'lost' | 'never'
  /** ms from the call or, where it is answered, from when it is done. */
  answered: number
  /** It is done after its client has given it up. */
  late: boolean
}

/**
 * The server of a simulated store. A call is done in one step, when it arrives. The network in between delays it, refuses it, loses the
 * call or the answer, delivers it late or twice. Calls of one node may overtake each other.
 */
export class Database {
  readonly rows = new Map<string, Row>()
  /** Until then it refuses everything. */
  downUntil = 0
  /** Until then the answers to what these write are lost. */
  readonly mutedUntil = new Map<Process, number>()
  /** Until then these get their answers late. */
  readonly laggingUntil = new Map<Process, number>()
  publish: (message: DriverMessage, from: Process) => void = () => undefined
  readonly #world: World
  readonly #profile: Profile
  readonly #witness: Witness

  constructor(world: World, profile: Profile, witness: Witness) {
    this.#world = world
    this.#profile = profile
    this.#witness = witness
  }

  violate(what: string): void {
    this.#world.violate(what)
  }

  find(sid: string): Row | undefined {
    const row = this.rows.get(sid)
    if (!row || row.expires > this.#world.now) return row
    this.rows.delete(sid)
    this.#witness.removed(sid, row.expires)
    return undefined
  }

  /** @param ttl ms to live */
  put(sid: string, text: string, ttl: number, sent: Sent): void {
    const before = this.find(sid)?.text
    this.#witness.wrote(sid, text)
    if (ttl <= 0) {
      this.rows.delete(sid)
      this.#witness.removed(sid, this.#world.now)
      return
    }
    this.rows.set(sid, { text, expires: this.#world.now + ttl })
    this.#witness.stored(sid, text, before, sent)
  }

  /** Compares, sets and publishes. @returns what is there instead, or nothing */
  compareAndSet(
    sid: string,
    expected: string | undefined,
    text: string,
    ttl: number,
    policy: TtlPolicy,
    sent: Sent,
  ): { written: boolean; instead: string | undefined } {
    const row = this.find(sid)
    if (row?.text !== expected) return { written: false, instead: row?.text }
    const left = row ? row.expires - this.#world.now : 0
    this.put(sid, text, policy === 'extend' ? Math.max(ttl, left) : ttl, sent)
    return { written: true, instead: undefined }
  }

  /** A process without this package writes what is there: that drops the history of commits. */
  writeWithoutHistory(sid: string): void {
    const row = this.find(sid)
    if (!row) return
    const { cookie, ...data } = JSON.parse(row.text)
    row.text = JSON.stringify({ cookie: withoutHistory(cookie), ...data })
  }

  touch(sid: string, ttl: number): boolean {
    const row = this.find(sid)
    if (!row) return false
    if (ttl <= 0) this.remove(sid)
    else row.expires = this.#world.now + ttl
    return ttl > 0
  }

  remove(sid: string, from?: Process): void {
    if (this.find(sid) === undefined) {
      if (from) this.#witness.foundNothing(sid, from)
      return
    }
    this.rows.delete(sid)
    this.#witness.removed(sid)
  }

  /**
   * @param answered is called once at most
   * @param lateness may the call arrive after it was given up? `answered`: only if it is answered then
   */
  call<T>(
    from: Process & { dead: boolean },
    kind: CallKind,
    sid: string,
    action: (sent: Sent) => T,
    answered: (answer: Answer<T>) => void,
    lateness: Lateness,
  ): void {
    if (from.dead) return
    const world = this.#world
    const canBeLate = isOfDriver(lateness)
    const fate = this.#fateOf(kind, lateness, from)
    if (lateness === 'alone' && fate.answer === 'never') fate.answer = 'lost'
    if (lateness === 'never' && fate.done !== undefined) fate.done = Math.min(fate.done, MOST_IN_TIME)
    const sent = { at: world.now, late: fate.late || (fate.done ?? 0) >= this.#profile.timeout }
    const label = `${kind} ${sid} ${fate.answer}${fate.done === undefined ? ' not done' : ''}${fate.doubled ? ' doubled' : ''}`
    const answer = (result: Answer<T>, ms: number): void => {
      world.after(ms, from, `answer ${label}`, () => {
        if (!from.dead) answered(result)
      })
    }
    if (fate.answer === 'refused') answer({ is: 'refused' }, fate.answered)
    else if (fate.answer === 'lost' && (fate.late || fate.done === undefined)) answer({ is: 'lost' }, fate.answered)
    if (fate.done === undefined) return
    world.after(fate.done, undefined, `${label} done`, () => {
      // What a process that was killed has sent may still arrive; a store that cannot compare has no way to be put right then.
      if (from.dead && !canBeLate) return
      let value = action(sent)
      if (fate.doubled) value = action(sent)
      if (fate.answer === 'done') answer({ is: 'done', value, doubled: fate.doubled }, fate.answered)
      else if (fate.answer === 'lost' && !fate.late) answer({ is: 'lost' }, fate.answered)
    })
  }

  latency(): number {
    const { random, faulty } = this.#world
    const { slowness } = this.#profile
    const dice = random.next()
    if (!faulty || dice < 0.55) return random.below(2)
    if (dice < 0.9) return random.below(6)
    if (dice < 1 - slowness) return random.below(60)
    return random.below(6000)
  }

  #fateOf(kind: CallKind, lateness: Lateness, from: Process): Fate {
    const canBeLate = isOfDriver(lateness)
    const world = this.#world
    const { random } = world
    const profile = this.#profile
    const fate: Fate = { done: this.latency(), doubled: false, answer: 'done', answered: this.latency(), late: false }
    if (!world.faulty) return fate
    if (world.now < this.downUntil) {
      const hangs = random.chance(0.3)
      return { ...fate, done: undefined, answer: hangs ? 'never' : random.chance(0.5) ? 'refused' : 'lost' }
    }
    if (world.now < (this.laggingUntil.get(from) ?? 0)) fate.answered += random.below(MOST_IN_TIME)
    if (kind !== 'read' && world.now < (this.mutedUntil.get(from) ?? 0))
      return { ...fate, answer: 'lost', ...(random.chance(profile.mutedCallsLost ?? 0.3) && { done: undefined }) }
    if (!random.chance(profile.faults)) return fate
    if (kind === 'read') return { ...fate, answer: random.chance(0.8) ? 'refused' : 'never', done: undefined }
    // What is done without an answer, and after all that is read because of that, only the next revalidation finds.
    const isFound = profile.revalidate !== false
    const late = { any: isFound ? 2 : 0, answered: 1, alone: 1, never: 0 }[lateness]
    const answerNever = isFound ? 1 : 0
    const doubled = canBeLate ? 2 : 0
    const weights = { refused: 3, notDone: 2, answerLost: 4, never: 1, answerNever, late, doubled, ...profile.faultWeights }
    switch (random.weighted(weights)) {
      case 'refused':
        return { ...fate, answer: 'refused', done: undefined }
      case 'notDone':
        return { ...fate, answer: 'lost', done: undefined }
      case 'never':
        return { ...fate, answer: 'never', done: undefined }
      case 'answerLost':
        return { ...fate, answer: 'lost' }
      case 'answerNever':
        return { ...fate, answer: canBeLate ? 'never' : 'lost' }
      case 'late':
        // A store that cannot compare answers at last, so that its session can be put right.
        return { ...fate, answer: canBeLate ? 'lost' : 'done', done: fate.answered + this.#lateness(canBeLate), late: true }
      default:
        return { ...fate, doubled: true }
    }
  }

  #lateness(canBeLate: boolean): number {
    const { random } = this.#world
    return canBeLate ? random.below(random.chance(0.7) ? 30 : 3000) : random.between(1, 20_000)
  }
}

/** Does the call come from the driver, and not from the store’s own methods? */
function isOfDriver(lateness: Lateness): boolean {
  return lateness === 'any' || lateness === 'never'
}
