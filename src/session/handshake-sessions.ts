import type { Session } from 'express-session'
import type { ClusterSync } from '../cluster/cluster-sync.js'
import type { ClusterPublisher } from '../cluster/publisher.js'
import { includesLastCommit, isLower } from '../store/commit-history.js'
import type { Moment } from '../store/session-clock.js'
import type { ReadResult } from '../store/session-reader.js'
import { Snapshot } from '../store/snapshot.js'
import type { StoreInterceptor } from '../store/store-interceptor.js'
import { type HandshakeHold, HandshakeHolds } from './handshake-holds.js'
import type { LocalSessions } from './local-sessions.js'
import { SessionReplica } from './replica.js'
import type { ReplicaContext, SessionTemplate } from './replica-context.js'
import type { StoreCalls } from './store-calls.js'
import type { Successors } from './successors.js'
import { UnstoredSessions } from './unstored-sessions.js'

/** A session that was found or made for a handshake. */
export interface HandshakeSession {
  readonly sid: string
  /** May be shared with others: its data is not changed. */
  readonly snapshot: Snapshot
  /** It is in the store, or was when it was read. */
  readonly stored: boolean
  /** When reading it began. */
  readonly readMoment: Moment
  /** The subscription of the handshake. */
  readonly hold?: HandshakeHold | undefined
  /** Where express-session has made the session already. */
  readonly template?: SessionTemplate | undefined
}

/** What a read has found, and the subscription that came before it. */
export interface SubscribedRead extends ReadResult {
  readonly hold?: HandshakeHold | undefined
}

/** What handshakes use. */
interface Parts {
  sessions: LocalSessions
  calls: StoreCalls
  successors: Successors
  cluster: ClusterSync
  publisher: ClusterPublisher
}

/** Reads the sessions of handshakes, and opens their replicas. */
export class HandshakeSessions {
  readonly #context: ReplicaContext<SessionReplica>
  readonly #parts: Parts
  readonly #holds: HandshakeHolds
  readonly unstored: UnstoredSessions

  /** @param interceptor runs the session middleware */
  constructor(
    context: ReplicaContext<SessionReplica>,
    readonly interceptor: StoreInterceptor,
    parts: Parts,
  ) {
    this.#context = context
    this.#parts = parts
    this.#holds = new HandshakeHolds((sid) => parts.cluster.unsubscribe(sid))
    const { cluster, publisher, calls, successors } = parts
    const { committer } = context
    const { rotations } = successors
    const unstored = (sid: string) => calls.unstored(sid)?.session
    this.unstored = new UnstoredSessions({ committer, cluster, publisher, rotations, unstored })
  }

  /**
   * Returns the replica of a session; all sockets of the process share one. Join it in the same tick, or call {@link keep}.
   * @param isCurrent was the session read while holding its lock, with no commit under way?
   */
  open({ sid, snapshot, stored, readMoment, template }: HandshakeSession, isCurrent = false): SessionReplica {
    const { cluster, sessions } = this.#parts
    const { committer } = this.#context
    const known = sessions.living(sid)
    const own = committer.withoutStoreFields(snapshot)
    if (!known)
      return new SessionReplica(this.#context, {
        sid,
        snapshot: own,
        stored,
        readMoment: stored ? readMoment : undefined,
        template,
      })
    const isNewer = this.#isNewer(own, known, readMoment)
    // Under its lock it may still be older than what another handshake has read, and opened the session with, meanwhile.
    const isNews = stored && (isCurrent ? isNewer !== false : isNewer === true && !committer.isBusy(sid))
    // A process without this package begins to count again.
    if (isNewer === false) cluster.refresh(sid)
    if (isNews) {
      // A batch of the refresh queue that was read before is out of date.
      if (!includesLastCommit(known, own.history)) sessions.clock.noteCommit(sid)
      known.receiveCommit(own, 'remote')
    }
    known.readMoment = isNews ? readMoment : undefined
    return known
  }

  /**
   * Must the session be read again, while holding its lock? Without a replica, nobody has applied what was committed since the read began. With
   * one, it may not be known which of the two is newer. While a commit is under way the replica stays what it is, and where a wrapped session
   * middleware has hidden the history.
   */
  mustReadAgain({ sid, snapshot, stored, readMoment }: HandshakeSession): boolean {
    const { registry, clock } = this.#parts.sessions
    const known = registry.get(sid)
    if (!known) return clock.committedSince(sid, readMoment)
    if (!stored || !snapshot.history || this.#context.committer.isBusy(sid)) return false
    return this.#isNewer(snapshot, known, readMoment) === undefined
  }

  /**
   * Is what was read newer than the replica, or the same? A message about an earlier commit may have come in meanwhile, and reads of
   * handshakes overtake each other. `undefined`: neither names the last commit of the other, and the session may have been committed since the
   * read began.
   */
  #isNewer(read: Snapshot, known: SessionReplica, readMoment: Moment): boolean | undefined {
    const { cluster, sessions } = this.#parts
    const { sid, history, members } = known
    if (includesLastCommit(read, history)) return true
    if (isLower(read.history, history) || includesLastCommit(known, read.history)) return false
    // Without sockets it gets no messages.
    const hasHeard = members.size > 0 && cluster.subscriptions.heardSince(sid, readMoment)
    return hasHeard || sessions.clock.committedSince(sid, readMoment) ? undefined : true
  }

  /** A session that express-session has made. @param named does the handshake's cookie name it? */
  fromMiddleware(session: Session, named: boolean, readMoment: Moment): HandshakeSession {
    const template = { cookie: session.cookie, prototype: Object.getPrototypeOf(session) }
    const stored = this.interceptor.bases.of(session)?.stored ?? named
    return { sid: session.id, snapshot: Snapshot.fromSession(session), stored, readMoment, template }
  }

  /** Keeps a replica that has no socket yet for as long as somebody refers to it. */
  keep(replica: SessionReplica): void {
    if (this.#parts.sessions.registry.get(replica.sid) !== replica) this.#parts.sessions.registry.add(replica)
  }

  /**
   * Reads a session. Its messages are subscribed to before, so that one read is enough: what happens before the read is in it, and what
   * happens after it is in messages. Rejects as the store does.
   * @returns `hold` is to be given to {@link release}. No promise where the session was read in this tick
   */
  read(sid: string): SubscribedRead | Promise<SubscribedRead> {
    return this.#parts.cluster.bus ? this.#readAfterSubscribing(sid) : this.interceptor.reader.readForHandshake(sid)
  }

  async #readAfterSubscribing(sid: string): Promise<SubscribedRead> {
    const { cluster } = this.#parts
    const subscribed = cluster.subscribe(sid)
    const hold = this.#holds.add(sid)
    if (subscribed) await subscribed
    const { snapshot, readMoment, stored, missing } = await this.interceptor.reader.readForHandshake(sid)
    return { snapshot, readMoment, stored, missing, hold }
  }

  /** The socket has joined its replica. */
  release({ hold }: HandshakeSession): void {
    if (hold) this.#holds.release(hold)
  }

  close(): void {
    this.#holds.close()
  }
}
