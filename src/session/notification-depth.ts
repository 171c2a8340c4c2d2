import { AsyncLocalStorage } from 'node:async_hooks'

const rounds = new AsyncLocalStorage<number>()

/** Listeners that write wake others who write: after so many rounds nobody is woken any more. */
export const MAX_DEPTH = 8

/** How many listeners, one waking the other, led to the code that runs now; 0 outside of any. Also across awaits and timers. */
export function currentDepth(): number {
  return rounds.getStore() ?? 0
}

/** Runs listeners as the given round, and with them all they start. */
export function runAtDepth(round: number, run: () => void): void {
  rounds.run(round, run)
}
