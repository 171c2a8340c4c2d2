import type { Cookie, SessionData, Store } from 'express-session'
import type { Server } from 'socket.io'
import { busName } from '../bus-name.js'
import { ClusterSync } from '../cluster/cluster-sync.js'
import { ClusterPublisher } from '../cluster/publisher.js'
import { debug, warnOnceOf } from '../debug.js'
import type { JsonObject } from '../document/json.js'
import { StrategyTable } from '../document/merge-strategy.js'
import type { RebaseResult } from '../document/tracked-document.js'
import type { StoreOptions } from '../options.js'
import { Committer } from '../store/committer.js'
import type { CookieJson } from '../store/cookie-json.js'
import type { Choice } from '../store/drivers/choose.js'
import { isMemoryStore } from '../store/drivers/memory.js'
import { OtherStores } from '../store/other-stores.js'
import type { Moment } from '../store/session-clock.js'
import { StoreInterceptor } from '../store/store-interceptor.js'
import type { Stats } from '../types.js'
import { CommitEvents } from './commit-events.js'
import { HandshakeSessions } from './handshake-sessions.js'
import { LocalSessions } from './local-sessions.js'
import type { SessionReplica } from './replica.js'
import type { ReplicaContext } from './replica-context.js'
import { SessionMoves } from './session-moves.js'
import { ROTATION_WAIT, StoreCalls } from './store-calls.js'
import { Successors } from './successors.js'
import { commitUpdate, type Recipe, showResult, UpdateTransaction } from './update-transaction.js'

/**
 * Everything that this process knows of one session store, and the entrance to this folder:
 * | File                   | What it does                                                                                     |
 * | --- | --- |
 * | acquire-manager.ts     | one manager per store, shared by all `sharedsession()` calls; compares their options              |
 * | local-sessions.ts      | live and ended sessions, and how a session ends here; registry.ts: which replicas stay in memory  |
 * | handshake-sessions.ts  | reads sessions for handshakes, and opens their replicas                                            |
 * | store-calls.ts         | what the store's methods do now: get, set, touch, destroy, clear                                  |
 * | commit-events.ts       | what follows on a commit: the replica, the listeners, the other processes                         |
 * | replica.ts             | one live session, shared by its sockets (session-methods.ts, per-socket.ts: their views of it)    |
 * | idle-session.ts, session-document.ts, active-session.ts | what a replica is at first, from the first read of an object on, and from the first write on |
 * | replica-transaction.ts | outbound: counts writes and saves them (save-queue.ts: when; write-outcomes.ts: what acks wait for) |
 * | session-base.ts        | what the store is known to hold of a session: what others wrote (apply-commit-message.ts: by a message) |
 * | live-cookie.ts         | the cookie of a replica; revalidation-timer.ts: when it is looked up in the store                 |
 * | notifier.ts            | calls listeners, and stops those that wake each other in a loop                                   |
 * | update-transaction.ts  | `shared.update()`                                                                                 |
 * | session-moves.ts, successors.ts | sessions that give way to another one; local-rotations.ts: by a login here; unstored-sessions.ts: sessions that another process needs |
 *
 * A socket's write: view -> replica -> save queue -> replica transaction -> committer (store/) -> commit events -> publisher (cluster/).
 * A commit of another process: cluster sync (cluster/) -> replica -> session base -> notifier -> sockets.
 * A remote end: cluster sync -> refresh queue -> a read of the store finds nothing -> sessions.onMissingInStore() -> replica.end() -> sockets.
 */
export class SessionManager implements ReplicaContext<SessionReplica> {
  readonly store: Store
  readonly options: StoreOptions
  readonly strategies: StrategyTable | undefined
  readonly committer: Committer
  readonly successors: Successors
  readonly handshakes: HandshakeSessions
  readonly otherStores: OtherStores
  /** How the store is written, and why not better. */
  readonly choice: Choice
  readonly #sessions = new LocalSessions()
  readonly #calls = new StoreCalls(this.#sessions)
  readonly clock = this.#sessions.clock
  readonly registry = this.#sessions.registry
  readonly notifier = this.#sessions.notifier
  readonly counts = this.#sessions.counts
  /** What the HTTP requests on this store have shown. */
  readonly requests: Pick<StoreCalls, 'storeInUse' | 'app' | 'isReadError'> = this.#calls
  /** Called with the request that has stored a new session, and the session's id. */
  readonly newSessions = this.#calls.newSessions
  readonly #interceptor: StoreInterceptor
  /** Processes can share the store, which compares and sets: no process can undo the writes of another. */
  readonly #severalProcesses: boolean
  readonly #publisher: ClusterPublisher
  readonly #cluster: ClusterSync
  readonly #moves: SessionMoves
  #sessionPrototype: object | undefined

  /** @throws `BAD_OPTION` for a driver, client or bus that does not fit the store */
  constructor(store: Store, options: StoreOptions) {
    const sessions = this.#sessions
    const calls = this.#calls
    const { merge, redis, driver: driverName, maxBytes, retry } = options
    this.store = store
    this.options = { ...options, revalidate: isMemoryStore(store) ? false : options.revalidate }
    this.strategies = StrategyTable.of(merge || {})
    this.otherStores = new OtherStores(store)
    this.#interceptor = new StoreInterceptor(store, calls, retry.timeout, { redis, driver: driverName })
    const { bases, original } = this.#interceptor
    this.choice = this.#interceptor.choice
    const { driver, hint, warning } = this.choice
    this.#severalProcesses = driver.compares && driver.name !== 'memory'
    this.#publisher = new ClusterPublisher(driver, maxBytes)
    const events = new CommitEvents(
      sessions,
      this.#publisher,
      (sid, to) => this.#moves.note(sid, to),
      (sid) => this.#cluster.refresh(sid),
    )
    this.committer = new Committer(driver, original, events, retry.timeout, sessions.clock)
    const { committer } = this
    const { bus = isMemoryStore(store) ? false : undefined } = options
    this.#cluster = new ClusterSync(sessions, committer, this.#publisher, {
      ...{ driver, bus, maxBytes, rotationWait: ROTATION_WAIT },
      onReportedEnd: (sid, answered) => this.successors.onReportedEnd(sid, answered),
      onReportedMissing: (sid) => this.handshakes.unstored.store(sid),
    })
    this.successors = new Successors(this.#cluster, this.#publisher, sessions.clock)
    this.#moves = new SessionMoves({
      ...{ sessions, committer, maxBytes: options.maxBytes, isShared: this.#severalProcesses },
      beforeRead: (sid) => calls.beforeRead(sid),
      ask: (sid, since) => this.handshakes.unstored.ask(sid, since),
      remove: (sid) => calls.removeMoved(sid),
    })
    const { strategies, successors } = this
    const publisher = this.#publisher
    calls.connect({ options, strategies, bases, committer, successors, publisher, moves: this.#moves })
    const cluster = this.#cluster
    this.handshakes = new HandshakeSessions(this, this.#interceptor, { sessions, calls, publisher, successors, cluster })
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

  /** What does not work about the bus. */
  get busProblems(): { isSilent: boolean; isRefused: boolean } {
    return { isSilent: this.#cluster.subscriptions.isLate, isRefused: this.#publisher.publishFailed }
  }

  /** Moves one session into another: a browser has shown that both are its own. See {@link SessionMoves.move}. */
  move(sid: string, to: string): Promise<boolean> {
    return this.#moves.move(sid, to)
  }

  /** See {@link SessionMoves.moveUnnamed}. */
  moveUnnamed(sid: string, to: string): Promise<void> {
    return this.#moves.moveUnnamed(sid, to)
  }

  // Replicas.

  onMissingInStore(sid: string): void {
    this.#sessions.onMissingInStore(sid)
  }

  reportMerge(sid: string, found: Pick<RebaseResult, 'conflicts'> & Partial<RebaseResult>): void {
    this.#sessions.reportMerge(sid, found)
  }

  get sessionPrototype(): object {
    this.#sessionPrototype ??= Object.getPrototypeOf(this.#interceptor.original.createSession({})) as object
    return this.#sessionPrototype
  }

  cookieOf(cookie: CookieJson): Cookie {
    return this.#interceptor.original.createSession(cookie).cookie
  }

  subscribe(sid: string, readMoment: Moment | undefined): void {
    this.#cluster.subscribeReplica(sid, readMoment)
  }

  unsubscribe(sid: string): void {
    this.#cluster.unsubscribe(sid)
  }

  // `shared`.

  /**
   * Changes what the store holds by a recipe.
   * @param shown a request's session that is to show the result
   * @throws `SESSION_NOT_FOUND`, `STORE_FAILED`, what the recipe throws, and what {@link UpdateTransaction} says
   */
  async update(sid: string, recipe: Recipe, shown?: SessionData): Promise<JsonObject> {
    const end = this.#interceptor.hold()
    try {
      // The recipe gets what sockets wrote before, and a new session is in the store by then.
      const due = this.#calls.beforeCommit(sid)
      if (due) await due
      const options = { maxBytes: this.options.maxBytes, prototype: this.sessionPrototype }
      const transaction = new UpdateTransaction(recipe, () => this.registry.get(sid)?.stored ?? false, options)
      const { snapshot, data } = await commitUpdate(this.#moves, sid, transaction)
      const merged = shown && showResult(shown, sid, snapshot, this.#interceptor.bases, this.clock.now(), this.strategies)
      if (merged) this.reportMerge(sid, merged)
      return data
    } finally {
      end()
    }
  }

  destroy(sid: string): Promise<void> {
    return this.#calls.destroy(sid)
  }

  destroyTarget(sid: string): Promise<void> {
    return this.#calls.destroyTarget(sid)
  }

  /** See {@link LocalSessions.flush}. */
  flush(): Promise<void> {
    return this.#sessions.flush(this.committer.queue, this.options.retry.timeout)
  }

  stats(): Stats {
    const replicas = [...this.registry.pinned()]
    const { bus } = this.#cluster
    return {
      driver: this.choice.driver.name,
      bus: bus ? busName(bus) : false,
      severalProcesses: this.#severalProcesses,
      sessions: replicas.length,
      sockets: replicas.reduce((sum, { members }) => sum + members.size, 0),
      ...this.counts,
      messages: this.#cluster.messages,
      published: this.#publisher.published,
    }
  }

  /** A `sharedsession()` call uses the manager, perhaps again before the store had its methods back. */
  renew(): void {
    this.#interceptor.reinstall()
    this.#cluster.open()
    this.otherStores.open()
  }

  /** A Socket.IO server whose sockets have sessions of this store. */
  offerAdapter(io: Server): void {
    this.#cluster.offerAdapter(io)
  }

  /**
   * Stops timers, gives the store its methods back, and closes the bus.
   * @param done is called then: not before the requests and calls of `update()` in flight have ended
   */
  close(done: () => void): void {
    for (const replica of [...this.registry.pinned()]) replica.close()
    this.handshakes.close()
    this.otherStores.close()
    this.#interceptor.uninstall(() => {
      // Not before: the other processes are to hear of what the requests in flight still save.
      this.#cluster.close()
      done()
    })
  }
}
