import type { Committer } from '../store/committer.js'
import type { Moment } from '../store/session-clock.js'
import type { CommitResult, Transaction } from '../store/transaction.js'
import { evictOldest } from '../util/maps.js'
import { keepTrying } from '../util/promises.js'
import type { LocalSessions } from './local-sessions.js'
import { emptyTransaction, joinTransaction, moveId, TakeTransaction, takeBackTransaction } from './move-transactions.js'

/** How long the store keeps a moved session, in ms: a request on another node may have loaded it before, and save it yet. */
const KEPT_MS = 5000
/** How often it is tried to take the data out of a moved session, and the first pause in ms, which doubles: until it is removed. */
const EMPTY_TRIES = 6
const EMPTY_DELAY = 50
/** How often a move is tried that no request repeats, and the pauses in ms: for some minutes. */
const MOVE_TRIES = 40
const SHORTEST_MOVE_DELAY = 200
const LONGEST_MOVE_DELAY = 10_000
/**
 * For how long after a move whoever ends the moved session means its target as well, in ms. Requests that had loaded it before, and handlers of
 * its sockets, have mostly ended by then. An application that ends sessions by ids that it has kept means the moved session only.
 */
const ENDS_BOTH_MS = 60_000
/** How many moved sessions this process remembers. */
const MAX_MOVES = 10_000

/** What moving a session uses. */
export interface MoveParts {
  sessions: LocalSessions
  committer: Committer
  maxBytes: number
  /** Processes can share the store, which compares and sets: no process can undo the writes of another. */
  isShared: boolean
  /** Settles when the due save of a session has ended. */
  beforeRead(sid: string): Promise<void> | undefined
  /**
   * Asks the other processes for a session that the store lacks: where one of them has it, it is stored when this resolves.
   * @param since when it was looked for
   */
  ask(sid: string, since: Moment): Promise<void>
  /** Removes a moved session from the store, and notifies the other processes. */
  remove(sid: string): Promise<void>
}

/**
 * Moves the data of one session into another, once, and ends the first one. Any process can repeat each step, so a process that dies in
 * between loses nothing:
 *
 * 1. The store's copy of the first session is marked as moved. From then on no node writes to it. Where the second session ends before step 2, or
 *    another process moves it to the first one, the mark is taken away again.
 * 2. Its data is joined to the second session, or to the one that this one was moved to meanwhile, by a commit whose id is made of both session
 *    ids, so that it happens once. Where the second session has ended meanwhile, as by a logout or a login, the data ends with it.
 * 3. The first session is removed.
 */
export class SessionMoves {
  readonly #parts: MoveParts
  /** By the session that is moved. */
  readonly #underWay = new Map<string, Promise<boolean>>()
  /** By the session that they are moved to. */
  readonly #arriving = new Map<string, Set<Promise<unknown>>>()
  /** From each moved session to its target, and when that was noted, by `performance.now()`. */
  readonly #moved = new Map<string, { to: string; at: number }>()
  /** Marks whose commits have failed, perhaps after they were stored. */
  readonly #indeterminate = new Map<string, TakeTransaction>()

  constructor(parts: MoveParts) {
    this.#parts = parts
  }

  /** The session that this one was moved to. */
  to(sid: string): string | undefined {
    return this.#moved.get(sid)?.to
  }

  /** The session that is to end with this one, as this one was moved to it a short while ago. */
  endsWith(sid: string): string | undefined {
    const moved = this.#moved.get(sid)
    return moved && performance.now() - moved.at < ENDS_BOTH_MS ? moved.to : undefined
  }

  /** A session was found to be moved, here or by another process. */
  note(sid: string, to: string): void {
    this.#moved.set(sid, { to, at: performance.now() })
    evictOldest(this.#moved, MAX_MOVES)
  }

  /** Commits to a session, or to the one that it turns out to have been moved to. */
  async commit(sid: string, transaction: Transaction): Promise<CommitResult> {
    const tried = new Set<string>()
    for (let at = sid; ; ) {
      const result = await this.#parts.committer.commit(at, transaction)
      const to = this.to(at)
      tried.add(at)
      if (result !== 'gone' || to === undefined || tried.has(to)) return result
      at = to
    }
  }

  /** Settles when the moves to a session have ended; `undefined` where there is none. */
  arrived(sid: string): Promise<unknown> | undefined {
    const arriving = this.#arriving.get(sid)
    return arriving && Promise.allSettled(arriving)
  }

  /**
   * Moves a session. Rejects with the store's error: it can be tried again then.
   * @returns `false` where the target is not there: the session stays in the store then
   */
  move(sid: string, to: string): Promise<boolean> {
    const underWay = this.#underWay.get(sid)
    if (underWay) return underWay
    const moving = this.#move(sid, to).finally(() => this.#underWay.delete(sid))
    this.#underWay.set(sid, moving)
    this.#trackArrival(to, moving)
    return moving
  }

  /**
   * Moves a session that none of its browser's cookies names any more, as the browser has that of the target: no request repeats the move, and so it
   * is tried again while the store fails. Where the target was moved on, its own target counts. Where that is gone, as after a login, the session
   * ends as well: its sockets would not come to the session of the requests.
   */
  moveUnnamed(sid: string, to: string): Promise<void> {
    return keepTrying(() => this.#moveOrEnd(sid, to), MOVE_TRIES, SHORTEST_MOVE_DELAY, LONGEST_MOVE_DELAY)
  }

  async #moveOrEnd(sid: string, to: string): Promise<void> {
    const { sessions, remove } = this.#parts
    const tried = new Set([sid])
    let target = to
    while (!tried.has(target)) {
      if (await this.move(sid, target)) return
      tried.add(target)
      target = this.to(target) ?? target
    }
    if (target === sid) return
    await remove(sid)
    sessions.end(sid, 'regenerated', undefined)
  }

  #trackArrival(to: string, moving: Promise<unknown>): void {
    const arriving = this.#arriving.get(to) ?? new Set()
    this.#arriving.set(to, arriving.add(moving))
    const done = (): void => {
      arriving.delete(moving)
      if (arriving.size === 0 && this.#arriving.get(to) === arriving) this.#arriving.delete(to)
    }
    moving.then(done, done)
  }

  async #move(sid: string, to: string): Promise<boolean> {
    const { sessions, committer, maxBytes, isShared, beforeRead, remove } = this.#parts
    await beforeRead(sid)
    if (!(await this.#isThere(to))) return false
    const taking = new TakeTransaction(to, (target, isStored) => {
      // One that has ended before, as by a login, is not moved: who still has it must not reach the session that has replaced it.
      if (isStored || sessions.living(sid)?.stored === false) this.note(sid, target)
      sessions.end(sid, 'regenerated', undefined)
    })
    const before = this.#indeterminate.get(sid)
    this.#indeterminate.set(sid, taking)
    evictOldest(this.#indeterminate, MAX_MOVES)
    await committer.commit(sid, taking)
    this.#indeterminate.delete(sid)
    // Where only the answer to an earlier mark was lost, the session has ended by now, and its data is known from then.
    const { data, target, isMarked } = taking.data === undefined && before?.isMarked ? before : taking
    let isJoined = false
    if (data && Object.keys(data).length > 0) {
      const joining = joinTransaction(data, moveId(sid, target), maxBytes)
      const result = await this.commit(target, joining)
      if (joining.tooLarge) sessions.notifier.problem(target, joining.tooLarge)
      isJoined = result !== 'gone'
      if (result === 'gone' && (isMarked || this.to(target) === sid)) {
        if (await this.#takeBack(sid, target)) return false
        isJoined = true
      } else if (result === 'gone' && target === to) return false
    }
    if (isShared && data) {
      if (isJoined) this.#empty(sid, target)
      setTimeout(() => remove(sid).catch(() => undefined), KEPT_MS).unref()
    } else await remove(sid)
    return true
  }

  /** For other processes. The target's history tells them as well that it has the data, and may be over before the session is removed. */
  async #empty(sid: string, target: string): Promise<void> {
    const empty = () => this.#parts.committer.commit(sid, emptyTransaction(target))
    await keepTrying(empty, EMPTY_TRIES, EMPTY_DELAY, KEPT_MS).catch(() => undefined)
  }

  /**
   * The target has ended since, or another process has moved it here: nobody would have the data.
   * @returns `false` where another process had joined it to the target before that
   */
  async #takeBack(sid: string, target: string): Promise<boolean> {
    const taking = takeBackTransaction(target)
    await this.#parts.committer.commit(sid, taking)
    if (!taking.wasJoined) this.#moved.delete(sid)
    return !taking.wasJoined
  }

  async #isThere(sid: string): Promise<boolean> {
    const { sessions, ask } = this.#parts
    const replica = sessions.living(sid)
    // Its browser has its cookie, but only a stored session can be joined to.
    if (replica && !replica.stored) await replica.save()
    const since = sessions.clock.now()
    if (await this.#isStored(sid)) return true
    if (sessions.clock.hasEnded(sid)) return false
    await ask(sid, since)
    return this.#isStored(sid)
  }

  #isStored(sid: string): Promise<boolean> {
    return this.#parts.committer.readExclusive(sid, (found) => found !== undefined)
  }
}
