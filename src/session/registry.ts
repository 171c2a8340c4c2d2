import type { SessionReplica } from './replica.js'

/**
 * The live sessions of a store, by id. One that nobody needs now is held weakly: a timer of the application's that still has a
 * reference writes to the same session that a socket which comes back is given.
 */
export class Registry {
  readonly #all = new Map<string, WeakRef<SessionReplica>>()
  readonly #held = new Set<SessionReplica>()
  readonly #collected = new FinalizationRegistry<string>((sid) => {
    if (!this.get(sid)) this.#all.delete(sid)
  })

  get(sid: string): SessionReplica | undefined {
    return this.#all.get(sid)?.deref()
  }

  add(live: SessionReplica): void {
    this.#all.set(live.sid, new WeakRef(live))
    this.#collected.register(live, live.sid)
  }

  /** Forgets an ended session, so that its id can be used again. */
  remove(live: SessionReplica): void {
    this.#all.delete(live.sid)
    this.#held.delete(live)
  }

  /** Holds a session while it has sockets or something to save. */
  hold(live: SessionReplica, held: boolean): void {
    if (held) this.#held.add(live)
    else this.#held.delete(live)
  }

  /** Those with sockets or something to save. */
  held(): Iterable<SessionReplica> {
    return this.#held
  }
}
