import { warnOnce } from '../debug.js'
import { SharedSessionError } from '../errors.js'
import { evictOldest } from '../util/maps.js'
import type { SessionReplica } from './replica.js'
import type { SaveFailure } from './replica-context.js'

/** While a store is down visitors come and go: no more sessions than these are kept in memory for their unsaved changes. */
const MOST_FAILED = 10_000
/** How long their JSON may be together. */
const MOST_CHARACTERS = 100_000_000

/**
 * The replicas of a store, by session id. One that is not pinned is held weakly: a timer of the application that still has a reference
 * writes to the same replica that a socket which returns gets.
 */
export class Registry {
  readonly failedSaves = new FailedSaves()
  readonly #pinned = new Map<string, SessionReplica>()
  readonly #others = new Map<string, WeakRef<SessionReplica>>()
  readonly #collected = new FinalizationRegistry<string>((sid) => {
    if (!this.#others.get(sid)?.deref()) this.#others.delete(sid)
  })

  get(sid: string): SessionReplica | undefined {
    return this.#pinned.get(sid) ?? this.#others.get(sid)?.deref()
  }

  /** Adds a replica that is not pinned. */
  add(replica: SessionReplica): void {
    this.#others.set(replica.sid, new WeakRef(replica))
    this.#collected.register(replica, replica.sid)
  }

  /**
   * The application is given a view, and may keep it. The replica may have been forgotten by then, with its last socket.
   * @returns the replica to use: another one, if the session has one by now
   */
  held(replica: SessionReplica): SessionReplica {
    const known = replica.ended ? replica : this.get(replica.sid)
    if (!known) this.add(replica)
    const current = known ?? replica
    current.isHeld = true
    return current
  }

  /** Forgets an ended session, so that its id can be used again. */
  remove(replica: SessionReplica): void {
    this.#pinned.delete(replica.sid)
    this.#others.delete(replica.sid)
  }

  /** Pins a replica while it has sockets or something to save. */
  setPinned(replica: SessionReplica, pinned: boolean): void {
    const { sid } = replica
    if (!pinned) this.failedSaves.unpinned(replica)
    const holder = this.#pinned.get(sid)
    const isPinned = holder === replica
    // An ended session is forgotten, although sockets may outlive it.
    if (pinned === isPinned || replica.ended) return
    // Its last socket had gone, and others have connected since: what a handler of that socket still writes is saved, and they hear of it.
    if (pinned && holder) return
    if (pinned) this.#pinned.set(sid, replica)
    else this.#pinned.delete(sid)
    if (!pinned && replica.isHeld && this.#others.get(sid)?.deref() !== replica) this.add(replica)
  }

  /** All that was to be saved of it is, unless there is a failure. */
  saveEnded(replica: SessionReplica, failure?: SaveFailure): void {
    if (failure) this.failedSaves.add(replica, failure)
    else this.failedSaves.delete(replica)
  }

  /** Those with sockets or something to save. */
  pinned(): Iterable<SessionReplica> {
    return this.#pinned.values()
  }
}

/**
 * The saves that were given up. Their replicas are held here, with their unsaved changes, when nothing else holds them: for as long as another
 * try may succeed.
 */
export class FailedSaves {
  readonly #failed = new Map<SessionReplica, { error: SharedSessionError; characters: number }>()
  /** Of the JSON of those that are not pinned. */
  #characters = 0
  #dropped = 0
  /** The errors of saves whose changes were taken back, while a flush is under way. */
  #lost: SharedSessionError[] | undefined

  add(replica: SessionReplica, { error, isKept }: SaveFailure): void {
    this.delete(replica)
    if (!isKept) {
      this.#lost?.push(error)
      return
    }
    this.#failed.set(replica, { error, characters: 0 })
    const oldest = evictOldest(this.#failed, MOST_FAILED)
    if (oldest) this.#evicted(oldest[1].characters)
  }

  delete(replica: SessionReplica): void {
    this.#characters -= this.#failed.get(replica)?.characters ?? 0
    this.#failed.delete(replica)
  }

  /** The replica has no sockets, and nothing of it is about to be saved. */
  unpinned(replica: SessionReplica): void {
    const failed = this.#failed.get(replica)
    if (!failed) return
    if (failed.error.code === 'TOO_LARGE') {
      this.delete(replica)
      this.#dropped++
      return
    }
    this.#characters -= failed.characters
    failed.characters = sizeOf(replica)
    this.#characters += failed.characters
    for (const [oldest, { characters }] of this.#failed) {
      if (this.#characters <= MOST_CHARACTERS) return
      if (characters === 0) continue
      this.#failed.delete(oldest)
      this.#evicted(characters)
    }
  }

  #evicted(characters: number): void {
    this.#characters -= characters
    this.#dropped++
    warnOnce(
      'unsaved',
      `More than ${MOST_FAILED} sessions, or ${MOST_CHARACTERS / 1e6} MB of them, could not be saved. The oldest are dropped, with their changes, as their sockets leave.`,
    )
  }

  /** Requests another save of each; those that fail again are added again. */
  retry(): void {
    this.#lost ??= []
    const replicas = [...this.#failed.keys()]
    this.#failed.clear()
    this.#characters = 0
    for (const replica of replicas) replica.save().catch(() => undefined)
  }

  /** @throws `SAVE_FAILED` where there are failed saves, or some were dropped since the last call */
  assertNone(): void {
    const failed = [...this.#failed.values()].map(({ error }) => error)
    const lost = this.#lost ?? []
    const dropped = this.#dropped
    this.#lost = undefined
    this.#dropped = 0
    if (failed.length + lost.length + dropped === 0) return
    const kept =
      failed.length > 0 ? `Of ${failed.length} session(s) the changes could not be saved; they are kept in memory.` : ''
    const others = lost.length + dropped
    const gone = others > 0 ? `The changes of ${others} session(s) could not be saved, and were dropped.` : ''
    throw new SharedSessionError('SAVE_FAILED', [kept, gone].filter(Boolean).join(' '), {
      cause: new AggregateError([...failed, ...lost]),
    })
  }
}

/** About how large the session is. */
function sizeOf({ document }: SessionReplica): number {
  try {
    return document.json().length
  } catch {
    // A handler has put something into an object of its own that has no JSON.
    return MOST_CHARACTERS
  }
}
