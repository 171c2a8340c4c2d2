import { SharedSessionError } from '../errors.js'

type Callback<T> = (error?: unknown, value?: T) => void

/**
 * Calls a callback-style store method. Settles with the first thing the store says: some stores throw synchronously, some reject,
 * some call back twice.
 * @param start is given the callback, calls the store, and returns what the store returned
 */
export function promisifyStoreCall<T = void>(start: (callback: Callback<T>) => unknown): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const returned = start((error, value) => (error ? reject(error) : resolve(value as T)))
    // An async method that fails before it calls back would otherwise be an unhandled rejection.
    if (isThenable(returned)) returned.then(undefined, reject)
  })
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function'
}

/**
 * Bounds the wait for a promise, not what the promise stands for.
 * @param ms the bound in milliseconds
 * @param late makes the error to reject with when it is over
 */
export function withTimeout<T>(promise: Promise<T>, ms: number, late: () => Error): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), ms)
    timer.unref()
    promise.then(
      (value) => {
        clearTimeout(timer)
        resolve(value)
      },
      (error) => {
        clearTimeout(timer)
        reject(error)
      },
    )
  })
}

/** Resolves when the promise has settled either way, or after `ms` milliseconds. */
export async function settleWithin(promise: Promise<unknown>, ms: number): Promise<void> {
  try {
    await withTimeout(promise, ms, () => new Error('late'))
  } catch {
    // Whoever started it hears of its failure; here only its end matters.
  }
}

/**
 * Waits for an answer, and not for ever.
 * @param late is called when it comes after that
 * @returns resolves when it has come, or after `ms` milliseconds
 */
export async function answerWithin(answer: Promise<unknown>, ms: number, late: () => void): Promise<void> {
  let isOver = false
  const ended = (): void => {
    if (isOver) late()
  }
  answer.then(ended, ended)
  await settleWithin(answer, ms)
  isOver = true
}

/** The error of a store that did not call back in time. */
export function storeTimeout(what: string, ms: number): SharedSessionError {
  return new SharedSessionError(
    'STORE_TIMEOUT',
    `The session store did not answer ${what} within ${ms} ms. Look at the store's connection, or raise retry.timeout.`,
  )
}
