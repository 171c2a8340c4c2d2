import { setTimeout as pause } from 'node:timers/promises'
import type { Session, SessionData, Store } from 'express-session'
import type { Server } from 'socket.io'
import type { Bus } from '../cluster/bus.js'
import { PostgresBus } from '../cluster/buses/postgres.js'
import { RedisBus } from '../cluster/buses/redis.js'
import { AdapterBus } from '../cluster/buses/socketio-adapter.js'
import { ClusterSync, type ClusterSyncHost } from '../cluster/cluster-sync.js'
import { debug, warnOnceOf } from '../debug.js'
import type { JsonObject } from '../document/json.js'
import { StrategyTable } from '../document/strategy-table.js'
import type { Conflict, RebaseResult } from '../document/tracked-document.js'
import { SharedSessionError } from '../errors.js'
import type { StoreOptions } from '../options.js'
import { Committer } from '../store/committer.js'
import { endsSession, isPlainCookie } from '../store/cookie.js'
import { cookieToJson, type Document, setCookie, toDocument } from '../store/document.js'
import type { Driver, OutgoingMessage } from '../store/drivers/driver.js'
import { hasSetCookie, type Response, responseFinished } from '../store/in-flight-requests.js'
import { isMemoryStore } from '../store/memory-store.js'
import { OtherStores } from '../store/other-stores.js'
import { loadedDocument, type RequestTransactionHost, requestTransaction } from '../store/request-transaction.js'
import type { Loaded } from '../store/store-access.js'
import { SessionClock } from '../store/session-clock.js'
import { type StoreHandlers, StoreInterceptor } from '../store/store-interceptor.js'
import type { CommitListener, CommitResult, CommitStep, CommittedChange, Transaction } from '../store/transaction.js'
import type { EndReason, Stats } from '../types.js'
import { settleWithin } from '../util/timeout.js'
import { FailedSaves } from './failed-saves.js'
import type { SessionHost } from './host.js'
import { currentDepth, MAX_DEPTH } from './notification-depth.js'
import { Notifier } from './notifier.js'
import { Registry } from './registry.js'
import { SessionReplica } from './replica.js'
import { SessionMoves } from './session-moves.js'
import { storeError } from './store-error.js'
import { Successors } from './successors.js'
import { type Recipe, showResult, updateTransaction } from './update-transaction.js'

/** How long a read waits for the save that is due, in ms. */
const READ_WAIT = 1000
/** How long a rotated session's sockets wait for the response that brings the new cookie, in ms. */
const ROTATION_WAIT = 5000
/** How long that response may be on its way, in ms: until then a handshake with the old cookie is not the last word of its client. */
const ARRIVAL = 1000

/**
 * All that this process knows about the sessions of one store: what is live, what is under way, what has ended. Over 300 lines because
 * it answers three parts (gate, commits, live sessions), each by an interface of its own, and does little itself.
 */
export class SessionManager implements StoreHandlers, CommitListener, SessionHost, ClusterSyncHost {
  readonly options: StoreOptions
  readonly strategies: StrategyTable | undefined
  readonly clock = new SessionClock()
  readonly registry = new Registry()
  readonly notifier = new Notifier()
  readonly #interceptor: StoreInterceptor
  readonly #committer: Committer
  /** Has an HTTP request saved or touched a session in this store? */
  storeInUse = false
  readonly #driver: Driver
  readonly #severalProcesses: boolean
  readonly #counts = { reads: 0, writes: 0, touches: 0, merges: 0, conflicts: 0, retries: 0, refusals: 0 }
  readonly #failedSaves = new FailedSaves()
  readonly #otherStores: OtherStores
  readonly #reported = new WeakSet<object>()
  /** Live sessions that were taken out of the store with all others, until they have been looked for. */
  readonly #cleared = new Set<string>()
  readonly #requests: RequestTransactionHost
  readonly #cluster: ClusterSync
  readonly moves: SessionMoves
  readonly successors: Successors
  /** Are told which request has stored a new session. */
  readonly newSessions = new Set<(request: object, sid: string) => void>()

  constructor(store: Store, options: StoreOptions) {
    this.options = { ...options, revalidate: isMemoryStore(store) ? false : options.revalidate }
    this.strategies = StrategyTable.of(options.merge || {})
    this.#otherStores = new OtherStores(store)
    this.#interceptor = new StoreInterceptor(store, this, options.retry.timeout, { redis: options.redis, driver: options.driver })
    this.#requests = {
      bases: this.#interceptor.bases,
      merging: options.merge !== false,
      rules: this.strategies,
      now: () => this.clock.now(),
      committedSince: (sid, moment) => this.clock.committedSince(sid, moment),
      own: (document) => this.#committer.own(document),
      committing: () => this.clock.now() + 1,
      // An end here, or a save by others, of a session that was unstored when the request loaded it.
      wasStored: (sid) => this.clock.hasEnded(sid) || this.registry.get(sid)?.stored === true,
      merged: (sid, { patches, conflicts, problems }) => {
        if (patches.length > 0) this.count('merges')
        this.conflicts(sid, conflicts)
        this.mergesFailed(sid, problems)
      },
    }
    const { driver, hint, warning } = this.#interceptor.choice
    this.#committer = new Committer(driver, this.#interceptor.original, this, options.retry.timeout, this.clock)
    this.#driver = driver
    this.#severalProcesses = driver.compares && !isMemoryStore(store)
    const { maxBytes, bus = isMemoryStore(store) ? false : undefined } = options
    this.#cluster = new ClusterSync(this, this.#committer, { driver, bus, maxBytes, rotationWait: ROTATION_WAIT })
    this.successors = new Successors({
      setSubscribed: (sid, listens) => this.listen(sid, listens),
      tell: (sid) => this.#cluster.nodes.replaced(sid),
    })
    this.moves = new SessionMoves({
      shares: driver.compares && !isMemoryStore(store),
      live: (sid) => this.registry.get(sid),
      beforeRead: (sid) => this.beforeRead(sid),
      read: (sid) => this.#committer.read(sid),
      commit: (sid, writer) => this.commit(sid, writer),
      remove: (sid) => this.#remove(sid),
      end: (sid) => this.end(sid, 'regenerated', undefined),
    })
    try {
      this.#cluster.open()
    } catch (error) {
      this.#interceptor.uninstall(() => undefined)
      throw error
    }
    const reach = this.#severalProcesses ? 'across processes' : 'within this process; several processes can still undo each other'
    debug('the store is written by the driver "%s": nothing is lost %s', driver.name, reach)
    if (hint) debug(hint)
    if (warning) warnOnceOf(store, warning)
  }

  /**
   * The session that a handshake came to, live; the same one for all sockets of the process.
   * @param session express-session's, as its middleware left it
   * @param named the handshake's cookie named this session, so it was in the store, or is live here
   * @param since the moment when reading it began
   * @param fresh what the store holds instead, read in the session's turn
   */
  openReplica(session: Session, named: boolean, since: number, fresh?: Document): SessionReplica {
    const sid = session.id
    const known = this.registry.get(sid)
    const stored = this.#interceptor.bases.of(session)?.stored ?? named
    if (known && !known.ended) {
      // What was read while nothing of ours was written is news, if it differs; otherwise it may be older than what is live.
      if (named && stored && !this.clock.committedSince(sid, since) && !this.#committer.settling(sid))
        known.onRemoteDocument(this.#committer.own(toDocument(session)), 'remote')
      return known
    }
    const { data } = fresh ?? this.#committer.own(toDocument(session))
    if (fresh) setCookie(session.cookie, fresh.cookie)
    const live = new SessionReplica(this, {
      sid,
      data,
      cookie: session.cookie,
      prototype: Object.getPrototypeOf(session),
      stored,
    })
    this.registry.add(live)
    return live
  }

  /** Runs the session middleware for a handshake. @param visit calls it in the same turn */
  handshake<T>(visit: () => T): T {
    return this.#interceptor.duringHandshake(visit)
  }

  // What the gate asks.

  usedByRequest(sid: string): void {
    this.storeInUse = true
    const live = this.registry.get(sid)
    if (live) live.usedByRequest = true
  }

  beforeRead(sid: string): Promise<void> | undefined {
    const live = this.registry.get(sid)
    const { queue: lanes } = this.#committer
    const arrived = this.moves.arrived(sid)
    if (!arrived && !live?.busy && !lanes.busy(sid)) return undefined
    const due = live?.busy ? live.saveQueue.whenSaved(live.saveQueue.dueSeq).catch(() => undefined) : Promise.resolve()
    return settleWithin(
      Promise.all([arrived, due]).then(() => lanes.idle(sid)),
      READ_WAIT,
    )
  }

  now(): number {
    return this.clock.now()
  }

  storedSince(sid: string, moment: number): boolean {
    return this.clock.committedSince(sid, moment) && !this.clock.hasEnded(sid)
  }

  load(sid: string): Promise<Loaded> {
    return this.#committer.load(sid).catch((cause) => {
      if (typeof cause === 'object' && cause !== null) this.#reported.add(cause)
      throw cause
    })
  }

  /** Do HTTP requests of this process keep that session in another store, and none use this one? */
  inOtherStore(sid: string): boolean {
    return this.#otherStores.have(sid)
  }

  /** Is this an error that a read of the store ended with? */
  reported(cause: object): boolean {
    return this.#reported.has(cause)
  }

  found(sid: string, moment: number): void {
    if (!this.clock.endedSince(sid, moment)) this.clock.supersede(sid)
  }

  missing(sid: string): void {
    this.successors.missed(sid)
    this.registry.get(sid)?.check()
  }

  unstored(sid: string): SessionData | undefined {
    const live = this.registry.get(sid)
    if (!live || live.stored || live.ended) return undefined
    return { cookie: toDocument({ cookie: live.cookie }).cookie, ...live.document.base() } as unknown as SessionData
  }

  async save(sid: string, session: SessionData): Promise<void> {
    this.storeInUse = true
    const isNew = this.#interceptor.bases.of(session) === undefined
    const writer = requestTransaction(sid, session, this.#requests)
    // Written, it would be there for nobody, and its sockets would not hear of it.
    if (writer.ends) return this.destroy(sid)
    const result = await this.commit(sid, writer)
    const { req: request } = session as { req?: object }
    if (isNew && result === 'written' && request) for (const told of this.newSessions) told(request, sid)
    const to = this.moves.to(sid)
    if (result !== 'gone') return
    if (to === undefined) debug('a request saved a session that has ended: dropped')
    else await this.commit(to, writer)
  }

  async touch(sid: string, session: SessionData): Promise<void> {
    this.storeInUse = true
    const cookie = cookieToJson(session.cookie)
    const base = this.#interceptor.bases.of(session)
    const loaded = base?.sid === sid ? base : undefined
    if (endsSession(session.cookie, loaded?.cookie, cookie)) return this.destroy(sid)
    const image = loaded ? this.#committer.cookies.touched(sid, loaded, cookie) : cookie
    const live = this.registry.get(sid)
    // There is nothing in the store to keep alive; the application may have given an id that is there.
    if (live && !live.stored && !live.ended && !base?.stored) {
      if (live.storedByRequests) await live.save()
      return
    }
    const data = (): JsonObject => toDocument(session).data
    await this.#committer.touch(sid, image, data, () => loadedDocument(sid, session, this.#requests))
    this.registry.get(sid)?.touched(image, isPlainCookie(session.cookie))
  }

  async destroy(sid: string, rotation?: { response: Response | undefined }): Promise<void> {
    const response = rotation?.response
    const answered = response && settleWithin(responseFinished(response), ROTATION_WAIT)
    const arrived = response && answered?.then(() => (hasSetCookie(response) ? arrival() : undefined))
    const reason = rotation ? 'regenerated' : 'destroyed'
    const done = (): void => {
      this.end(sid, reason, answered, arrived)
      this.#cluster.nodes.ended(sid, reason, answered !== undefined)
    }
    await this.#committer.destroy(sid, done, this.#cluster.nodes.endMessage(sid, reason, answered !== undefined))
    answered?.then(() => this.#cluster.nodes.answered(sid))
  }

  /** Of a session that was moved: it has ended here. */
  #remove(sid: string): Promise<void> {
    const done = (): void => this.#cluster.nodes.ended(sid, 'regenerated', false)
    return this.#committer.destroy(sid, done, this.#cluster.nodes.endMessage(sid, 'regenerated', false))
  }

  cleared(): void {
    this.clock.allEnded()
    for (const live of this.registry.held()) {
      this.#cleared.add(live.sid)
      live.check().finally(() => this.#cleared.delete(live.sid))
    }
    // A commit that had read its session before would write it back.
    for (const sid of this.#committer.queue.sids()) this.destroy(sid).catch(() => undefined)
  }

  // What commits tell.

  moved(sid: string, to: string): void {
    this.moves.note(sid, to)
  }

  committed(commit: CommittedChange): void {
    if (commit.movedTo !== undefined) {
      this.#cluster.nodes.committed(commit)
      return
    }
    const live = this.registry.get(commit.sid)
    this.clock.supersede(commit.sid)
    this.clock.committed(commit.sid)
    this.#cluster.nodes.committed(commit)
    // A live session tells itself what it has saved.
    if (commit.origin === 'socket') {
      if (live) this.#failedSaves.delete(live)
      return
    }
    if (commit.life) live?.touched(commit.document.cookie, true)
    if (live) live.onRemoteDocument(commit.document, commit.origin)
    else if (commit.patches.length > 0) this.notifier.notifyGlobal(commit.sid, commit.patches, commit.origin)
    if (commit.write) this.notifier.notifySaved(commit.sid, commit.patches, currentDepth())
  }

  outgoingMessage(step: CommitStep): OutgoingMessage | undefined {
    return this.#cluster.nodes.commitMessage(step)
  }

  hasEnded(sid: string): boolean {
    return this.clock.hasEnded(sid)
  }

  endedRemotely(sid: string): void {
    this.successors.heard(sid)
  }

  unannounced(sid: string, stored: boolean): boolean {
    const live = this.registry.get(sid)
    const isLive = live?.stored === true && !live.ended
    const isDue = live?.expires !== undefined && live.expires <= Date.now()
    const isTold = isDue || this.clock.hasEnded(sid) || this.#cluster.isReportedEnded(sid) || this.#cleared.has(sid)
    return (stored || isLive) && !isTold
  }

  onMissingInStore(sid: string): void {
    const expires = this.registry.get(sid)?.expires
    const told = this.#cluster.takeReportedEnd(sid)
    const reason = told?.reason ?? (expires !== undefined && expires <= Date.now() ? 'expired' : 'destroyed')
    const after = told?.after
    // Whether that response sets a cookie is not told; after a rotation express-session nearly always does.
    this.end(sid, reason, after, after?.then(arrival))
  }

  onNewerDocument(sid: string, document: Document): void {
    this.registry.get(sid)?.onRemoteDocument(document, 'remote')
  }

  count(what: 'reads' | 'writes' | 'touches' | 'merges' | 'refusals'): void {
    this.#counts[what]++
  }

  // What live sessions need.

  refresh(live: SessionReplica): Promise<void> {
    return this.#committer.touch(live.sid, cookieToJson(live.cookie), () => live.document.base())
  }

  commit(sid: string, writer: Transaction): Promise<CommitResult> {
    return this.#committer.commit(sid, writer)
  }

  inspect(sid: string, see: (found: Document | undefined) => void): Promise<void> {
    return this.#committer.inspect(sid, see)
  }

  conflicts(sid: string, conflicts: Conflict[]): void {
    this.#counts.conflicts += conflicts.length
    for (const { path, base, mine, theirs, won } of conflicts) {
      this.notifier.emit('session:conflict', sid, { path, base, mine, theirs, won })
    }
  }

  mergesFailed(sid: string, problems: RebaseResult['problems']): void {
    for (const problem of problems) this.notifier.problem(sid, problem)
  }

  unsaved(live: SessionReplica, error: SharedSessionError): void {
    this.#failedSaves.add(live, error)
  }

  setPinned(live: SessionReplica, held: boolean): void {
    this.registry.hold(live, held)
  }

  listen(sid: string, listens: boolean): void {
    if (listens) this.#cluster.nodes.subscribe(sid)
    else this.#cluster.nodes.unsubscribe(sid)
  }

  retrying(): void {
    this.#counts.retries++
  }

  // What the sockets' cookies ask.

  /** A browser has shown that both sessions are its own, see {@link SessionMoves}. */
  move(sid: string, to: string): Promise<boolean> {
    return this.moves.move(sid, to)
  }

  // What users of the process ask.

  /**
   * Changes what the store holds by a recipe. Rejects with `SESSION_NOT_FOUND`, with what the recipe threw, or with `STORE_FAILED`.
   * @param shown a request's session that is to show the result
   */
  async update(sid: string, recipe: Recipe, shown?: SessionData): Promise<JsonObject> {
    // What a socket wrote before is in the session that the recipe gets, and a new session is in the store.
    await this.beforeRead(sid)
    const writer = updateTransaction(recipe, this.registry.get(sid)?.stored ?? false, this.options.maxBytes)
    try {
      await this.commit(sid, writer)
    } catch (error) {
      throw writer.refused(error) ? error : storeError('updated', error)
    }
    const { result } = writer
    if (!result) {
      throw new SharedSessionError(
        'SESSION_NOT_FOUND',
        'There is no such session in the store: it has ended, or was never saved.',
      )
    }
    const found = shown && showResult(shown, sid, result, this.#interceptor.bases, this.clock.now(), this.strategies)
    if (found) {
      this.conflicts(sid, found.conflicts)
      this.mergesFailed(sid, found.problems)
    }
    return structuredClone(result.data)
  }

  /** Resolves when everything that was written before is saved; rejects with what could not be. */
  async flush(): Promise<void> {
    // The timers below hold no process open; whoever waits for a flush wants it to.
    const awake = setInterval(() => {}, 1000)
    try {
      this.#failedSaves.retry()
      // What listeners write when they hear of a save is waited for as well. Whoever goes on writing could keep this from ending.
      const waited = new Set<string>()
      for (let round = 0; round <= MAX_DEPTH; round++) {
        const underWay = this.#underWay(waited)
        if (underWay.length === 0) break
        await Promise.allSettled(underWay)
      }
    } finally {
      clearInterval(awake)
    }
    this.#failedSaves.assertNone()
  }

  stats(): Stats {
    const live = [...this.registry.held()]
    const sockets = live.reduce((sum, session) => sum + session.members.size, 0)
    const { bus, counts } = this.#cluster.nodes
    return {
      driver: this.#driver.name,
      bus: nameOf(bus),
      severalProcesses: this.#severalProcesses,
      sessions: live.length,
      sockets,
      ...this.#counts,
      ...counts,
    }
  }

  /**
   * @param rotation settles when the response that brings the client its new cookie has left
   * @param arrived the same when it should have come there
   */
  end(sid: string, reason: EndReason, rotation: Promise<unknown> | undefined, arrived = rotation): void {
    const live = this.registry.get(sid)
    // Late writers find it gone as well: it has ended once.
    if (!live && this.clock.hasEnded(sid)) {
      this.clock.endedAgain(sid)
      return
    }
    this.#cluster.takeReportedEnd(sid)
    this.clock.ended(sid, reason, arrived)
    if (live) {
      this.registry.remove(live)
      this.#failedSaves.delete(live)
      live.end(reason, rotation)
    }
    this.notifier.emit('session:destroyed', sid, { reason })
  }

  /** Used, or used again before it had given the store back. */
  renew(): void {
    this.#interceptor.reinstall()
    this.#cluster.open()
    this.#otherStores.open()
  }

  /** A server whose sockets have sessions of this store. */
  server(io: Server): void {
    this.#cluster.server(io)
  }

  /**
   * Stops all timers and gives the store back.
   * @param done is called when the store has its methods back: not before the requests in flight have ended
   */
  close(done: () => void): void {
    for (const live of [...this.registry.held()]) live.close()
    this.#cluster.close()
    this.#otherStores.close()
    this.#interceptor.uninstall(done)
  }

  /** @param waited sessions whose lanes were waited for: one that the store does not answer is not waited for again */
  #underWay(waited: Set<string>): Promise<void>[] {
    const { queue: lanes } = this.#committer
    const sids = lanes.sids().filter((sid) => !waited.has(sid))
    for (const sid of sids) waited.add(sid)
    const due = [...this.registry.held()]
      .filter((live) => live.busy)
      .map((live) => live.saveQueue.whenSaved(live.saveQueue.dueSeq))
    return [...due, ...sids.map((sid) => settleWithin(lanes.idle(sid), this.options.retry.timeout))]
  }
}

/** As `stats()` names it. */
function nameOf(bus: Bus | undefined): Stats['bus'] {
  if (!bus) return false
  if (bus instanceof AdapterBus) return 'adapter'
  return bus instanceof RedisBus || bus instanceof PostgresBus ? bus.publishedByDriver : 'own'
}

function arrival(): Promise<void> {
  return pause(ARRIVAL, undefined, { ref: false })
}
