import { setTimeout as pause } from 'node:timers/promises'
import type { SessionData } from 'express-session'
import type { ClusterPublisher } from '../cluster/publisher.js'
import { debug } from '../debug.js'
import type { StrategyTable } from '../document/merge-strategy.js'
import type { StoreOptions } from '../options.js'
import { type StoreAnswer, unknownOutcome } from '../store/commit-strategy.js'
import type { Committer } from '../store/committer.js'
import { endsSession, isPlainCookie } from '../store/cookie.js'
import { cookieToJson, usableCookie } from '../store/cookie-json.js'
import { type Response, responseFinished, type StoreRequest, setsCookieOf } from '../store/in-flight-requests.js'
import type { MergeBases } from '../store/merge-bases.js'
import { loadedSnapshot, RequestTransaction, type RequestTransactionHost } from '../store/request-transaction.js'
import type { Moment } from '../store/session-clock.js'
import type { UnstoredSession } from '../store/session-reader.js'
import { Snapshot } from '../store/snapshot.js'
import type { Rotation, StoreHandlers } from '../store/store-interceptor.js'
import { backoff, settleWithin } from '../util/promises.js'
import { cookieArrival, type LocalSessions } from './local-sessions.js'
import type { SessionMoves } from './session-moves.js'
import type { Successors } from './successors.js'

/** How long a read waits for the save that is due, in ms. */
const READ_WAIT = 1000
/** How long the sockets and handshakes of a rotated session wait for the response that brings the new cookie, in ms. */
export const ROTATION_WAIT = 5000
/** How often the destroy of a session that was regenerated is tried again, and the delays in ms: each is twice the one before. */
const DESTROY_RETRIES = 40
const SHORTEST_DESTROY_DELAY = 200
const LONGEST_DESTROY_DELAY = 10_000

/** What the handlers use. */
export interface StoreCallsParts {
  options: StoreOptions
  strategies: StrategyTable | undefined
  bases: MergeBases
  committer: Committer
  publisher: ClusterPublisher
  moves: SessionMoves
  successors: Successors
}

/** Answers the calls of the store's methods: the reads, saves, touches and destroys of HTTP requests, and of code that has the store. */
export class StoreCalls implements StoreHandlers {
  /** Has an HTTP request saved or touched a session in this store? */
  storeInUse = false
  /** The Express application of the last request that saved or touched a session. */
  app: unknown
  /** Called with the request that has stored a new session, and the session's id. */
  readonly newSessions = new Set<(request: object, sid: string) => void>()
  readonly #sessions: LocalSessions
  /** Set by `connect()`, before the store can be called. */
  #parts!: StoreCallsParts
  #requests!: RequestTransactionHost
  readonly #readErrors = new WeakSet<object>()

  constructor(sessions: LocalSessions) {
    this.#sessions = sessions
  }

  /** Gives it the parts that are made from the store's driver. */
  connect(parts: StoreCallsParts): void {
    this.#parts = parts
    const { clock, registry, counts } = this.#sessions
    this.#requests = {
      bases: parts.bases,
      merging: parts.options.merge !== false,
      strategies: parts.strategies,
      now: () => clock.now(),
      committedSince: (sid, since) => clock.committedSince(sid, since),
      withoutStoreFields: (snapshot) => parts.committer.withoutStoreFields(snapshot),
      // The commit is counted right after `transaction.committed()`.
      committing: () => clock.next(),
      // It ended here, or others stored it, although it was unstored when the request loaded it.
      wasStored: (sid) => clock.hasEnded(sid) || registry.get(sid)?.stored === true,
      merged: (sid, found) => {
        if (found.patches.length > 0) counts.merges++
        this.#sessions.reportMerge(sid, found)
      },
    }
  }

  now(): Moment {
    return this.#sessions.clock.now()
  }

  noteRequestRead(sid: string): void {
    this.storeInUse = true
    const replica = this.#sessions.registry.get(sid)
    if (replica) replica.namedByCookie = true
  }

  beforeRead(sid: string): Promise<void> | undefined {
    const { queue } = this.#parts.committer
    const due = this.beforeCommit(sid)
    if (due)
      return settleWithin(
        due.then(() => queue.idle(sid)),
        READ_WAIT,
      )
    return queue.busy(sid) ? settleWithin(queue.idle(sid), READ_WAIT) : undefined
  }

  /** Settles when what sockets and moves were about to commit is committed, or after a while; `undefined` where there is nothing. */
  beforeCommit(sid: string): Promise<void> | undefined {
    const arrived = this.#parts.moves.arrived(sid)
    const replica = this.#sessions.registry.get(sid)
    const saveQueue = replica?.saving ? replica.saveQueue : undefined
    if (!arrived && !saveQueue) return undefined
    const saved = saveQueue ? saveQueue.whenSaved(saveQueue.dueSeq).catch(() => undefined) : undefined
    return settleWithin(Promise.all([arrived, saved]), READ_WAIT)
  }

  load(sid: string, forHandshake: boolean): Promise<StoreAnswer> {
    return this.#parts.committer.load(sid, !forHandshake).catch((cause) => {
      if (typeof cause === 'object' && cause !== null) this.#readErrors.add(cause)
      throw cause
    })
  }

  loadNow(sid: string): StoreAnswer | undefined {
    return this.#parts.committer.loadNow(sid)
  }

  /** Is this an error that a read of the store failed with? */
  isReadError(cause: object): boolean {
    return this.#readErrors.has(cause)
  }

  found(sid: string, readMoment: Moment): void {
    this.#sessions.noteFound(sid, readMoment)
  }

  storedSince(sid: string, since: Moment): boolean {
    const { clock } = this.#sessions
    return clock.committedSince(sid, since) && !clock.hasEnded(sid)
  }

  missing(sid: string, isMoved = false): void {
    this.#parts.successors.noteMissing(sid, isMoved)
    this.#sessions.registry.get(sid)?.revalidate()
  }

  unstored(sid: string): UnstoredSession | undefined {
    const replica = this.#sessions.living(sid)
    if (!replica || replica.stored) return undefined
    // The cookie's JSON, as a store returns it: `createSession()` makes it a cookie. SessionData has the class.
    const { cookie } = Snapshot.fromSession({ cookie: replica.cookie })
    return { session: { cookie, ...replica.storedData } as unknown as SessionData, live: replica }
  }

  async save(sid: string, session: SessionData): Promise<void> {
    const { bases, moves, successors } = this.#parts
    this.#usedBy(session)
    const isNew = bases.of(session) === undefined
    const transaction = new RequestTransaction(sid, session, this.#requests)
    // Its expiry is over: no store would return it, and its sockets would not be notified.
    if (transaction.ends) return this.destroy(sid)
    const result = await moves.commit(sid, transaction).finally(() => transaction.close())
    const { req: request } = session as { req?: object }
    if (isNew && result === 'written' && request) {
      for (const notify of this.newSessions) notify(request, sid)
      // Its cookie left before it was stored: sockets that came with it were given another session.
      successors.wakeWaiting(sid)
    }
    if (result !== 'gone') return
    if (this.#sessions.isIndeterminate(sid))
      throw unknownOutcome('The session is not created once more, as it may have ended since.')
    else debug('a request saved a session that has ended: dropped')
  }

  #usedBy(session: SessionData): void {
    this.storeInUse = true
    const { req: request } = session as { req?: { app?: unknown } }
    if (request?.app) this.app = request.app
  }

  async touch(sid: string, session: SessionData): Promise<void> {
    const { bases, committer } = this.#parts
    this.#usedBy(session)
    const cookie = usableCookie(cookieToJson(session.cookie))
    const base = bases.of(session)
    const loaded = base?.sid === sid ? base : undefined
    if (endsSession(session.cookie, loaded?.state.cookie, cookie)) return this.destroy(sid)
    const replica = this.#sessions.living(sid)
    // The store has no such session to keep alive, unless the application gave it an id that is there.
    if (replica && !replica.stored && !base?.stored) {
      if (replica.storedByRequests) await replica.save()
      return
    }
    await committer.touch(sid, {
      cookie: (changes) =>
        loaded ? changes.touched(sid, { cookie: loaded.state.cookie, loadedMoment: loaded.loadedMoment }, cookie) : cookie,
      data: () => Snapshot.fromSession(session).data,
      loaded: () => loadedSnapshot(sid, session, this.#requests),
      touched: (stored) => this.#sessions.registry.get(sid)?.touched(stored, isPlainCookie(session.cookie)),
    })
  }

  /** @param before sessions that were moved here, one after the other, and that are destroyed */
  async destroy(sid: string, rotation?: Rotation, before: readonly string[] = []): Promise<void> {
    const { committer, publisher, successors } = this.#parts
    const response = rotation?.response
    const answered = response && settleWithin(responseFinished(response), ROTATION_WAIT)
    const arrived =
      response && answered?.then(() => (setsCookieOf(rotation.request.sessionID, response) ? cookieArrival() : undefined))
    if (answered && arrived) successors.rotations.add(sid, answered, arrived)
    const reason = rotation ? 'regenerated' : 'destroyed'
    let both: Promise<void> | undefined
    const done = (): void => {
      // Also where the store answers so late that the caller was told of a failure.
      if (!both) {
        both = this.destroyTarget(sid, rotation, before)
        both.catch(() => undefined)
      }
      this.#sessions.end(sid, reason, answered, arrived)
      publisher.publishEnd(sid, reason, answered !== undefined)
    }
    try {
      await committer.destroy(sid, done, publisher.endMessage(sid, reason, answered !== undefined))
    } catch (cause) {
      if (response) {
        // Where only the answer was lost, the read that follows finds it gone.
        if (this.#sessions.living(sid)) this.#sessions.noteReportedEnd(sid, { reason, after: answered })
        this.#destroyLater(sid, rotation.request, response)
      }
      throw cause
    }
    answered?.then(() => publisher.publishCookieSent(sid))
    await both
  }

  /**
   * Destroys the session that this one was moved to a short while ago: whoever ends this one may have loaded it before that, and its data would
   * outlive a logout. Where that fails, it may be tried again for as long.
   */
  async destroyTarget(
    sid: string,
    rotation?: Rotation,
    before: readonly string[] = [],
    to = this.#parts.moves.endsWith(sid),
  ): Promise<void> {
    // Another session has the id again. Or it is the one that the browser gets instead.
    if (to === undefined || this.#sessions.clock.tombstone(sid)?.storedAgain || to === rotation?.request.sessionID) return
    if (before.includes(to)) return
    await this.destroy(to, rotation, [...before, sid]).catch((cause) => {
      this.#parts.moves.note(sid, to)
      throw cause
    })
  }

  /** The store could not destroy a session, and express-session gives its browser another one all the same: it is tried again for a while. */
  async #destroyLater(sid: string, request: StoreRequest, response: Response): Promise<void> {
    const { committer, publisher, moves, successors } = this.#parts
    await responseFinished(response)
    if (!setsCookieOf(request.sessionID, response)) return
    const arrived = cookieArrival()
    const done = (): void => {
      this.#sessions.end(sid, 'regenerated', undefined, arrived)
      publisher.publishEnd(sid, 'regenerated', false)
      // Sockets that have found the session gone meanwhile, and were given another one.
      arrived.then(() => successors.wakeWaiting(sid))
    }
    for (let failures = 0; failures < DESTROY_RETRIES; failures++) {
      await pause(backoff(failures, SHORTEST_DESTROY_DELAY, LONGEST_DESTROY_DELAY), undefined, { ref: false })
      try {
        const isThere = await committer.readExclusive(sid, (found) => found !== undefined)
        if (isThere) await committer.destroy(sid, done, publisher.endMessage(sid, 'regenerated', false))
        // Only the answer was lost.
        else if (moves.to(sid) === undefined) done()
        // It is moved. Where that is to the browser's new session, its data stays.
        else await this.destroyTarget(sid, { request, response: undefined }, [], moves.to(sid))
        return
      } catch {}
    }
  }

  /** Removes a session that was moved from the store: it has ended here. */
  removeMoved(sid: string): Promise<void> {
    const { committer, publisher } = this.#parts
    const done = (): void => publisher.publishEnd(sid, 'regenerated', false)
    return committer.destroy(sid, done, publisher.endMessage(sid, 'regenerated', false))
  }

  clearing(): (succeeded: boolean) => void {
    const { clock } = this.#sessions
    const { compares, queue } = this.#parts.committer
    const begun = clock.now()
    const underWay = queue.sids()
    return (succeeded) => {
      // A commit that has read its session before has written it back, or still will.
      const written = new Set([...underWay, ...clock.committedAfter(begun), ...queue.sids()])
      // One that failed may have removed some of them.
      this.#sessions.onCleared()
      if (!succeeded || compares) return
      for (const sid of written) this.destroy(sid).catch(() => undefined)
    }
  }
}
