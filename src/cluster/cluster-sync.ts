import type { Server } from 'socket.io'
import type { Registry } from '../session/registry.js'
import type { SessionReplica } from '../session/replica.js'
import type { Committer } from '../store/committer.js'
import type { Document } from '../store/document.js'
import type { Driver } from '../store/drivers/driver.js'
import type { SessionClock } from '../store/session-clock.js'
import type { EndReason } from '../types.js'
import { evictOldest } from '../util/bounded-map.js'
import type { CommitMessage } from './apply-remote-commit.js'
import type { Bus } from './bus.js'
import { AdapterBus, isClusterAdapter } from './buses/socketio-adapter.js'
import { ClusterMessenger, type ClusterMessengerHost } from './cluster-messenger.js'
import { RefreshQueue, type RefreshQueueHost } from './refresh-queue.js'

/** Those that nobody looks at any more, as their sockets have gone, are not taken out. */
const MOST_TOLD = 10_000

/** Messages of one session that wait for its turn. Where there are more, the session is read instead. */
const MOST_WAITING = 32

/** How another process says that it ended a session. */
interface ReportedEnd {
  reason: EndReason
  /** Settles when the sockets may be ended; `undefined`: at once. */
  after: Promise<unknown> | undefined
}

/** What is known of the store's sessions here. */
export interface ClusterSyncHost {
  readonly registry: Registry
  readonly clock: SessionClock
  /** A session that was stored is not in the store any more. */
  onMissingInStore(sid: string): void
  /** Another process says that it has ended. */
  endedRemotely(sid: string): void
}

/** Which bus a store's processes use. */
export interface ClusterSyncOptions {
  driver: Driver
  /** `undefined`: the store's, else socket.io's adapter; `false`: none. */
  bus: false | Bus | undefined
  maxBytes: number
  rotationWait: number
}

/** What other processes do to the sessions that are live here: heard by the bus, found by looking, taken in between two commits. */
export class ClusterSync implements ClusterMessengerHost, RefreshQueueHost {
  readonly nodes: ClusterMessenger
  readonly #host: ClusterSyncHost
  readonly #commits: Committer
  readonly #options: ClusterSyncOptions
  readonly #refreshQueue = new RefreshQueue(this)
  /** Until the store has confirmed it. */
  readonly #reportedEnds = new Map<string, ReportedEnd>()
  /** By session: how many messages wait for its turn. */
  readonly #waiting = new Map<string, number>()

  constructor(host: ClusterSyncHost, commits: Committer, options: ClusterSyncOptions) {
    this.#host = host
    this.#commits = commits
    this.#options = options
    this.nodes = new ClusterMessenger(this, options.driver, options)
  }

  /** Begins to listen, or begins again after {@link close}. */
  open(): void {
    this.#refreshQueue.open()
    const { bus, driver } = this.#options
    if (bus === false || this.nodes.connected) return
    const own = bus ?? driver.bus?.()
    if (own) this.nodes.start(own)
  }

  /** Socket.IO's adapter is the bus where the store has none. */
  server(io: Server): void {
    if (this.#options.bus !== false && !this.nodes.connected && isClusterAdapter(io)) this.nodes.start(new AdapterBus(io))
  }

  close(): void {
    this.#refreshQueue.close()
    this.nodes.close()
  }

  /** How a session is said to have ended, once. */
  takeReportedEnd(sid: string): ReportedEnd | undefined {
    const told = this.#reportedEnds.get(sid)
    this.#reportedEnds.delete(sid)
    return told
  }

  /** Is it said to have ended, and not looked for yet? */
  isReportedEnded(sid: string): boolean {
    return this.#reportedEnds.has(sid)
  }

  // What nodes tell.

  onRemoteCommit(sid: string, message: CommitMessage, bytes: number): void {
    const waiting = this.#waiting.get(sid) ?? 0
    if (waiting >= MOST_WAITING) {
      this.#refreshQueue.enqueue([sid])
      return
    }
    this.#waiting.set(sid, waiting + 1)
    const heard = this.#commits.inTurn(sid, async () => {
      const live = this.#living(sid)
      const after = live?.applyRemoteCommit(message, bytes)
      if (after === undefined) this.#refreshQueue.enqueue([sid])
      else if (after !== 'known') this.#applyRemote(live as SessionReplica, after, bytes)
    })
    heard.catch(() => this.#refreshQueue.enqueue([sid])).finally(() => this.#waited(sid))
  }

  /** Nobody can end a session by saying so: the store is asked. */
  onRemoteEnd(sid: string, reason: 'destroyed' | 'regenerated', after: Promise<unknown> | undefined): void {
    this.#host.endedRemotely(sid)
    const live = this.#living(sid)
    if (!live) return
    // One that was never stored can only have been given up for another one, which its sockets are to come back to.
    this.#reportedEnds.set(sid, { reason: live.stored ? reason : 'regenerated', after })
    evictOldest(this.#reportedEnds, MOST_TOLD)
    this.#refreshQueue.enqueue([sid])
  }

  mayBeStale(sids: Iterable<string>): void {
    this.#refreshQueue.enqueue(sids)
  }

  // What looking needs.

  now(): number {
    return this.#host.clock.now()
  }

  readMany(sids: readonly string[]): Promise<(Document | undefined)[] | undefined> {
    return this.#commits.readMany(sids)
  }

  isLive(sid: string): boolean {
    // One that was never stored can only be told to have ended: its browser has another one.
    return this.#living(sid)?.stored === true || this.#reportedEnds.has(sid)
  }

  refreshed(sid: string, found: { document: Document | undefined; moment: number } | undefined): Promise<void> {
    return this.#commits.inTurn(sid, async (read) => {
      // What was committed or heard since then may not be in it.
      const document = found && !this.#host.clock.committedSince(sid, found.moment) ? found.document : await read()
      const live = this.#living(sid)
      if (!live) return
      if (document) {
        this.#reportedEnds.delete(sid)
        this.#applyRemote(live, document)
      } else if (live.stored || this.#reportedEnds.has(sid)) this.#host.onMissingInStore(sid)
    })
  }

  /** @param told bytes of the message that says so; 0 where the store was read */
  #applyRemote(live: SessionReplica, document: Document, told = 0): void {
    this.#host.clock.committed(live.sid)
    live.onRemoteDocument(document, 'remote', told)
  }

  #waited(sid: string): void {
    const waiting = (this.#waiting.get(sid) ?? 1) - 1
    if (waiting > 0) this.#waiting.set(sid, waiting)
    else this.#waiting.delete(sid)
  }

  #living(sid: string): SessionReplica | undefined {
    const live = this.#host.registry.get(sid)
    return live?.ended ? undefined : live
  }
}
