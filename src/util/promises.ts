import { setTimeout as pause } from 'node:timers/promises'
import { Deadline } from './deadline.js'

/**
 * Bounds the wait for a promise, not the work behind it.
 * @param ms the bound in milliseconds
 * @param late makes the error to reject with when it is over
 */
export function withTimeout<T>(promise: Promise<T>, ms: number, late: () => Error): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const deadline = new Deadline(ms, () => reject(late()))
    promise.then(
      (value) => {
        deadline.cancel()
        resolve(value)
      },
      (error) => {
        deadline.cancel()
        reject(error)
      },
    )
  })
}

/** A promise, and what resolves it. */
export interface Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T | PromiseLike<T>) => void
}

export function deferred<T = void>(): Deferred<T> {
  let resolve!: Deferred<T>['resolve']
  const promise = new Promise<T>((given) => {
    resolve = given
  })
  return { promise, resolve }
}

/** Resolves when the promise has settled either way, or after `ms` milliseconds. */
export function settleWithin(promise: Promise<unknown>, ms: number): Promise<void> {
  return answerWithin(promise, ms, () => undefined)
}

/**
 * Waits for an answer, and not for ever.
 * @param late is called when it comes after that
 * @returns resolves when it has come, or after `ms` milliseconds
 */
export function answerWithin(answer: Promise<unknown>, ms: number, late: () => void): Promise<void> {
  return new Promise((resolve) => {
    const deadline = new Deadline(ms, resolve)
    const ended = (): void => {
      if (deadline.isOver) late()
      deadline.cancel()
      resolve()
    }
    // Its failure is handled by the caller who started it.
    answer.then(ended, ended)
  })
}

/**
 * Exponential backoff with jitter.
 * @param failures how many there were before the last one
 * @returns ms to wait, between half and all of `shortest` doubled that often, at most `longest`
 */
export function backoff(failures: number, shortest: number, longest: number): number {
  return Math.min(longest, shortest * 2 ** failures) * (0.5 + Math.random() / 2)
}

/**
 * Runs a job, and again after a pause while it fails. Rejects with the last failure. See {@link backoff} for the pauses.
 * @param tries how often at most
 */
export async function keepTrying(job: () => Promise<unknown>, tries: number, shortest: number, longest: number): Promise<void> {
  for (let failures = 0; ; failures++) {
    try {
      await job()
      return
    } catch (cause) {
      if (failures + 1 === tries) throw cause
    }
    await pause(backoff(failures, shortest, longest), undefined, { ref: false })
  }
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function'
}

/** What an action throws becomes a rejection: an application's own bus may throw where it should reject. */
export async function asPromise(action: () => unknown): Promise<void> {
  await action()
}
