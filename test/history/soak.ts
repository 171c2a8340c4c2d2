import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { disturb, type Trouble } from './chaos.js'
import type { Violation } from './history.js'
import { report } from './report.js'
import { live, openStage, type RunOptions, type Stage } from './run.js'

export interface SoakOptions extends RunOptions {
  minutes: number
  /** How many there are at once, each with clients of its own. */
  sessions: number
  /** How long a session lives. */
  seconds: number
}

interface Totals {
  histories: number
  operations: number
  acknowledged: number
  violations: number
  refusals: number
  trouble: Trouble | undefined
}

/**
 * Many sessions at once on the same processes, while things go wrong without a break. Each has a seed of its own, and is checked by itself: when it
 * has lived for its time, and again after it was destroyed.
 */
export async function soak(options: SoakOptions, print: (text: string) => void): Promise<Totals> {
  const stage = await openStage(options)
  const { cluster } = stage
  const counting = setInterval(() => void cluster.countRefusals().catch(() => undefined), 1000)
  try {
    const chaos = options.chaos && disturb(cluster, options.chaos, options.seed)
    const totals: Totals = { histories: 0, operations: 0, acknowledged: 0, violations: 0, refusals: 0, trouble: chaos?.trouble }
    const destroyed: string[] = []
    const end = performance.now() + options.minutes * 60_000
    const seeds = { next: options.seed }
    const lanes = Array.from({ length: options.sessions }, async (_, index) => {
      // One after the other ends, and not all at once.
      let seconds = (options.seconds * (index + 1)) / options.sessions
      for (; performance.now() < end; seconds = options.seconds) {
        const each = { ...options, seconds, seed: seeds.next++ }
        const { sid, ...outcome } = await live(stage, each, async () => undefined)
        const { operations } = outcome.history
        outcome.violations.push(...crashesOf(stage))
        totals.histories++
        totals.operations += operations.length
        totals.acknowledged += operations.filter(({ completed }) => completed !== undefined).length
        totals.violations += outcome.violations.length
        print(report(outcome, each))
        if (outcome.violations.length > 0) print(`The history: ${keep(each.seed, outcome)}`)
        else destroyed.push(sid)
      }
    })
    await Promise.all(lanes)
    await chaos?.end()
    await cluster.flush()
    await cluster.countRefusals()
    for (const sid of destroyed) {
      if ((await stage.read(sid)) === undefined) continue
      totals.violations++
      print('a session that was destroyed is in the store at the end')
    }
    for (const { what } of crashesOf(stage)) {
      totals.violations++
      print(what)
    }
    return { ...totals, refusals: cluster.refusals }
  } finally {
    clearInterval(counting)
    await stage.close()
  }
}

function crashesOf({ cluster }: Stage): Violation[] {
  return cluster.crashes.splice(0).map((what) => ({ what, operations: [] }))
}

/** @returns the file */
function keep(seed: number, content: object): string {
  const file = join(tmpdir(), `sharedsession-history-${seed}-${process.pid}.json`)
  writeFileSync(file, JSON.stringify(content))
  return file
}
