import type { ClusterSync } from '../cluster/cluster-sync.js'
import type { ClusterPublisher } from '../cluster/publisher.js'

/** Rotations of this process whose clients may not have their new cookies yet. Other processes are told of them, also when they ask later. */
export class LocalRotations {
  readonly #cluster: Pick<ClusterSync, 'subscribe' | 'unsubscribe'>
  readonly #publisher: ClusterPublisher
  /** By the session that was rotated away: settles when the response with the new cookie has left. */
  readonly #answered = new Map<string, Promise<unknown>>()

  constructor(cluster: Pick<ClusterSync, 'subscribe' | 'unsubscribe'>, publisher: ClusterPublisher) {
    this.#cluster = cluster
    this.#publisher = publisher
  }

  /**
   * @param answered settles when the response with the new cookie has left
   * @param arrived settles when that cookie should have reached the client
   */
  add(sid: string, answered: Promise<unknown>, arrived: Promise<unknown>): void {
    this.#answered.set(sid, answered)
    // For the questions of others.
    this.#cluster.subscribe(sid)
    arrived.then(() => {
      this.#cluster.unsubscribe(sid)
      if (this.#answered.get(sid) === answered) this.#answered.delete(sid)
    })
  }

  has(sid: string): boolean {
    return this.#answered.has(sid)
  }

  /** A handshake of another process has the session's cookie. That process did not hear of the rotation: it was not subscribed to the session. */
  announce(sid: string): void {
    const answered = this.#answered.get(sid)
    if (!answered) return
    this.#publisher.publishRotation(sid)
    answered.then(() => this.#publisher.publishCookieSent(sid))
  }
}
