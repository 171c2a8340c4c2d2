import { SharedSessionError } from '../errors.js'
import type { Retry } from '../options.js'
import { backoff } from '../util/timeout.js'

interface Waiter {
  count: number
  resolve(): void
  reject(error: SharedSessionError): void
}

/** What a saver asks of its session. Writes are counted; a count names all writes up to it. */
export interface SaveQueueHost {
  /** Saves everything written so far; reports by `covered` how far that was. */
  write(): Promise<unknown>
  /** Something is to be saved, or nothing is any more. */
  updatePin(): void
  retrying(): void
  unsaved(error: SharedSessionError): void
}

/**
 * The save queue of one session: writes of one tick are one save, those made while a save is under way gather for the next, and a
 * failed save is tried again with growing, jittered pauses.
 */
export class SaveQueue {
  readonly #host: SaveQueueHost
  readonly #retry: Retry
  #saved = 0
  #requested = 0
  /** The furthest that was ever asked for, also where it has been given up on. */
  #wanted = 0
  #scheduled = false
  #stopped: SharedSessionError | undefined
  #waiters: Waiter[] = []

  constructor(host: SaveQueueHost, retry: Retry) {
    this.#host = host
    this.#retry = retry
  }

  /** How far the session is saved. */
  get savedSeq(): number {
    return this.#saved
  }

  /** Up to where a save is due or under way; the same as `saved` where none is. */
  get dueSeq(): number {
    return Math.max(this.#requested, this.#saved)
  }

  /** The furthest that was asked for, also where it has been given up on. */
  get requestedSeq(): number {
    return this.#wanted
  }

  /** Is a save scheduled or under way? */
  get active(): boolean {
    return this.#scheduled
  }

  /** Asks for a save of all writes up to the count, at the end of this tick. */
  request(count: number): void {
    if (this.#stopped || count <= this.#requested) return
    this.#requested = count
    this.#wanted = Math.max(this.#wanted, count)
    if (this.#scheduled) return
    this.#scheduled = true
    this.#host.updatePin()
    setImmediate(() => this.#run())
  }

  /** A save that had been given up on has come to its end after all: what is still unsaved of what was asked for is due again. */
  resume(): void {
    if (!this.#scheduled && this.#wanted > this.#saved) this.request(this.#wanted)
  }

  /** Resolves when all writes up to the count are saved; rejects when the save has failed for good or the session has ended. */
  whenSaved(count: number): Promise<void> {
    if (count <= this.#saved) return Promise.resolve()
    if (this.#stopped) return Promise.reject(this.#stopped)
    return new Promise((resolve, reject) => this.#waiters.push({ count, resolve, reject }))
  }

  /** All writes up to the count are in the store. */
  markSaved(count: number): void {
    this.#saved = Math.max(this.#saved, count)
    const waiters = this.#waiters
    this.#waiters = waiters.filter((waiter) => waiter.count > this.#saved)
    for (const waiter of waiters) if (waiter.count <= this.#saved) waiter.resolve()
  }

  /** Nothing is saved any more; whoever waits is told why. */
  stop(error: SharedSessionError): void {
    this.#stopped = error
    this.#reject(error, Number.POSITIVE_INFINITY)
  }

  async #run(): Promise<void> {
    let failures = 0
    while (this.#requested > this.#saved && !this.#stopped) {
      const tried = this.#requested
      try {
        await this.#host.write()
        failures = 0
      } catch (cause) {
        failures++
        if (isFinal(cause) || failures >= this.#retry.attempts) {
          this.#giveUp(cause, failures, tried)
          failures = 0
        } else {
          this.#host.retrying()
          await this.#pause(failures)
        }
      }
    }
    this.#scheduled = false
    this.#host.updatePin()
  }

  /** @param tried up to where it was tried: what was written since then is due as before */
  #giveUp(cause: unknown, attempts: number, tried: number): void {
    if (this.#stopped) return
    const error =
      cause instanceof SharedSessionError && isFinal(cause)
        ? cause
        : new SharedSessionError(
            'SAVE_FAILED',
            `The session could not be saved (${attempts} attempts). The changes are kept and saved with the next write; look at the session store.`,
            { cause },
          )
    // Nothing else is due any more: later acks are not held for what is not going to be saved by itself.
    if (this.#requested <= tried) this.#requested = this.#saved
    this.#reject(error, tried)
    this.#host.unsaved(error)
  }

  #reject(error: SharedSessionError, upTo: number): void {
    const waiters = this.#waiters
    this.#waiters = waiters.filter((waiter) => waiter.count > upTo)
    for (const waiter of waiters) if (waiter.count <= upTo) waiter.reject(error)
  }

  #pause(failures: number): Promise<void> {
    const { minDelay, maxDelay } = this.#retry
    return new Promise((resolve) => {
      setTimeout(resolve, backoff(failures - 1, minDelay, maxDelay)).unref()
    })
  }
}

/** Trying again cannot help, or must not be done. */
function isFinal(error: unknown): boolean {
  return error instanceof SharedSessionError && ['OUTCOME_UNKNOWN', 'TOO_LARGE', 'NOT_STORABLE'].includes(error.code)
}
