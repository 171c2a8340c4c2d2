import type { SessionData } from 'express-session'
import type { ClusterSync } from '../cluster/cluster-sync.js'
import type { ClusterPublisher } from '../cluster/publisher.js'
import type { Committer } from '../store/committer.js'
import type { Moment } from '../store/session-clock.js'
import { Snapshot } from '../store/snapshot.js'
import type { Transaction } from '../store/transaction.js'
import type { LocalRotations } from './local-rotations.js'

/** How long a handshake waits for the first save of its session, in ms. */
const SAVE_WAIT = 250
/** For how long after that a first save is noticed, in ms. A handshake stays subscribed to the session of its cookie for as long. */
const LATE_SAVE = 10_000

/** What unstored sessions use. */
export interface UnstoredParts {
  committer: Committer
  cluster: ClusterSync
  publisher: ClusterPublisher
  rotations: LocalRotations
  /** A session that is live here and was never stored, as it was made. */
  unstored(sid: string): SessionData | undefined
}

/**
 * Sessions that a handshake has made, and that are not stored yet: only the process that made one knows it. Its client has its cookie, and may
 * come to another process. That one asks, and the first one stores the session.
 *
 * So only the process that made an id creates it in the store, and no process creates one that it has seen ending. A process that took over an id
 * from a cookie could bring back a session that had ended before: the cookie of such a session is genuine as well.
 */
export class UnstoredSessions {
  readonly #parts: UnstoredParts

  constructor(parts: UnstoredParts) {
    this.#parts = parts
  }

  /** Can other processes be asked? */
  get canAsk(): boolean {
    return this.#parts.cluster.bus !== undefined
  }

  /**
   * A handshake's cookie names a session that is not in the store: its first save may be on its way, and other processes are asked for it.
   * @param since when it was last looked for
   * @returns resolves when it is time to read the store again
   */
  async wait(sid: string, since: Moment): Promise<void> {
    const { cluster, publisher } = this.#parts
    // The answer is the message of a commit. A handshake has subscribed to the session before it has read it.
    const answered = cluster.subscriptions.nextCommit(sid, since, SAVE_WAIT)
    publisher.publishMissing(sid)
    await answered
  }

  /** As {@link wait}, for a session to which another one is to be joined. */
  async ask(sid: string, since: Moment): Promise<void> {
    if (!this.canAsk) return
    const { cluster } = this.#parts
    await cluster.subscribe(sid)
    await this.wait(sid, since)
    cluster.unsubscribe(sid)
  }

  /**
   * A handshake has given up waiting for the session, and has made another one.
   * @returns whether another process has stored the session after all
   */
  async isStoredLate(sid: string, since: Moment): Promise<boolean> {
    return this.canAsk && this.#parts.cluster.subscriptions.nextCommit(sid, since, LATE_SAVE)
  }

  /** Another process needs the session: it is stored. What sockets have written and not saved yet stays unsaved. */
  store(sid: string): void {
    const { committer, rotations, unstored } = this.#parts
    rotations.announce(sid)
    if (!unstored(sid)) return
    const transaction: Transaction = {
      origin: 'remote',
      mustExist: false,
      rebase(theirs) {
        // Not if it has ended meanwhile.
        const session = theirs ? undefined : unstored(sid)
        return session && { snapshot: Snapshot.lazyFromSession(session), write: true, patches: [] }
      },
      committed() {},
      aborted() {},
    }
    // The process that asks will ask again, or do without.
    committer.commit(sid, transaction).catch(() => undefined)
  }
}
