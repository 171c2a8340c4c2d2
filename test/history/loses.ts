import { type Outcome, type RunOptions, run } from './run.js'

/** Chance decides in which round two processes are in each other's way. */
const ROUNDS = 6

/**
 * Runs a store without its driver until the checker finds what was lost.
 * @returns the round that found it
 * @throws where none did
 */
export async function loses(options: RunOptions): Promise<{ outcome: Outcome; options: RunOptions }> {
  for (let round = 0; round < ROUNDS; round++) {
    const each = { ...options, seed: options.seed + round, driver: 'generic' as const }
    const outcome = await run(each)
    // A process that ends by itself is a violation too, and loses nothing.
    if (outcome.violations.some(({ operations }) => operations.length > 0)) return { outcome, options: each }
  }
  throw new Error(`${options.store} without its driver: nothing was lost in ${ROUNDS} rounds from seed ${options.seed} on`)
}
