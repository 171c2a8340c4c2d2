import { SharedSessionError } from '../errors.js'
import type { Retry } from '../options.js'
import { backoff } from '../util/promises.js'

interface Waiter {
  seq: number
  resolve(): void
  reject(error: SharedSessionError): void
}

/** What a save queue calls. */
export interface SaveQueueActions {
  /** Saves everything written so far, and calls `markSaved()` with the sequence number up to which that was. */
  save(): Promise<unknown>
  /** `active` has changed. */
  activeChanged(): void
  /** A failed save is going to be tried again. */
  retrying(): void
  /** A save was given up. */
  gaveUp(error: SharedSessionError): void
}

/**
 * The save queue of one session. All writes of one tick are one save, writes during a save gather for the next one, and a failed save is
 * tried again with growing, jittered pauses. Writes have sequence numbers; a number stands for all writes up to it.
 */
export class SaveQueue {
  readonly #actions: SaveQueueActions
  readonly #retry: Retry
  #savedSeq = 0
  /** A save is due up to here; reset to `#savedSeq` when it is given up. */
  #targetSeq = 0
  #requestedSeq = 0
  /** Up to here a save has the writes that is about to fail for good. */
  #failedSeq = 0
  #active = false
  #stopped: SharedSessionError | undefined
  #waiters: Waiter[] = []

  constructor(actions: SaveQueueActions, retry: Retry) {
    this.#actions = actions
    this.#retry = retry
  }

  /** Up to here the writes are in the store. */
  get savedSeq(): number {
    return this.#savedSeq
  }

  /** Up to here a save is due or under way; the same as `savedSeq` where none is. */
  get dueSeq(): number {
    return Math.max(this.#targetSeq, this.#savedSeq)
  }

  /** The furthest save that was ever requested, also where it was given up. */
  get requestedSeq(): number {
    return this.#requestedSeq
  }

  /** Is a save due or under way? */
  get active(): boolean {
    return this.#active
  }

  /** Requests a save of all writes up to the number, at the end of this tick. */
  request(seq: number): void {
    if (this.#stopped || seq <= this.#targetSeq) return
    this.#targetSeq = seq
    this.#requestedSeq = Math.max(this.#requestedSeq, seq)
    if (this.#active) return
    this.#active = true
    this.#actions.activeChanged()
    setImmediate(() => this.#run())
  }

  /** A save that was given up has ended after all: what was requested and is still unsaved becomes due again. */
  resume(): void {
    if (!this.#active && this.#requestedSeq > this.#savedSeq) this.request(this.#requestedSeq)
  }

  /** Resolves when all writes up to the number are saved; rejects when their save is given up or the session has ended. */
  whenSaved(seq: number): Promise<void> {
    if (seq <= this.#savedSeq) return Promise.resolve()
    if (this.#stopped) return Promise.reject(this.#stopped)
    return new Promise((resolve, reject) => this.#waiters.push({ seq, resolve, reject }))
  }

  /** The save that is about to fail for good has the writes up to the number, also those that came after it was requested. */
  failsUpTo(seq: number): void {
    this.#failedSeq = seq
  }

  /** All writes up to the number are in the store. */
  markSaved(seq: number): void {
    this.#savedSeq = Math.max(this.#savedSeq, seq)
    for (const waiter of this.#takeWaiters(this.#savedSeq)) waiter.resolve()
  }

  /** Saves nothing any more. @param error what waiting callers get */
  stop(error: SharedSessionError): void {
    this.#stopped = error
    for (const waiter of this.#takeWaiters(Number.POSITIVE_INFINITY)) waiter.reject(error)
  }

  async #run(): Promise<void> {
    let failures = 0
    while (this.#targetSeq > this.#savedSeq && !this.#stopped) {
      const tried = this.#targetSeq
      try {
        await this.#actions.save()
        failures = 0
      } catch (cause) {
        failures++
        if (isFinal(cause) || failures >= this.#retry.attempts) {
          this.#giveUp(cause, failures, tried)
          failures = 0
        } else {
          this.#actions.retrying()
          await this.#pause(failures)
        }
      }
    }
    this.#active = false
    this.#actions.activeChanged()
  }

  /** @param tried up to where it was tried: what was written since then stays due */
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
    const upTo = Math.max(tried, this.#failedSeq)
    // Nothing else is due any more: later acks must not wait for a save that no one has requested.
    if (this.#targetSeq <= upTo) this.#targetSeq = this.#savedSeq
    for (const waiter of this.#takeWaiters(upTo)) waiter.reject(error)
    this.#actions.gaveUp(error)
  }

  #takeWaiters(upTo: number): Waiter[] {
    const waiters = this.#waiters
    this.#waiters = waiters.filter(({ seq }) => seq > upTo)
    return waiters.filter(({ seq }) => seq <= upTo)
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
