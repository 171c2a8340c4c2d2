import type { EventEmitter } from 'node:events'

// A test may replace the timers.
const { setImmediate, setTimeout } = globalThis
/** Looks for what is a matter of some turns. After them a wait is for another process, a timer or a browser, and leaves the processor to it. */
const TURNS = 200

interface Subscribable {
  on(event: any, listener: (...args: any[]) => void): unknown
  off(event: any, listener: (...args: any[]) => void): unknown
}

/** Resolves with the first argument of the next such event that fits. */
export function next<T = any>(
  emitter: Subscribable | EventEmitter | Record<'on' | 'off', any>,
  event: string,
  fits: (value: T) => boolean = () => true,
): Promise<T> {
  return new Promise((resolve) => {
    const listener = (value: T): void => {
      if (!fits(value)) return
      ;(emitter as Subscribable).off(event, listener)
      resolve(value)
    }
    ;(emitter as Subscribable).on(event, listener)
  })
}

/** Resolves when the condition holds; looks again after each turn of the event loop, later each ms. Vitest's time limit bounds it. */
export async function until(condition: () => unknown | Promise<unknown>): Promise<void> {
  for (let look = 0; !(await condition()); look++)
    await new Promise<void>((resolve) => (look < TURNS ? setImmediate(resolve) : setTimeout(resolve, 1)))
}

/** A promise and its handles. */
export function deferred<T = void>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: unknown) => void } {
  let resolve!: (value: T) => void
  let reject!: (error: unknown) => void
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

/** Assigning `cookie.maxAge` reads the clock twice, so that `originalMaxAge` may be a millisecond less. */
export function inSeconds(ms: number | null | undefined): number {
  return Math.round((ms ?? Number.NaN) / 1000)
}
