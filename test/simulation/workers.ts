import { type ChildProcess, spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { createInterface } from 'node:readline'
import { NODE_OPTIONS } from './bundle.js'
import type { Options, Seeds } from './main.js'

/** What the last line of a run says. */
export interface Totals {
  done: number
  failures: number
  steps: number
  digest: number
  /** Of processor time, in all processes. */
  seconds: number
}

export interface WorkerOptions extends Pick<Options, 'ranges' | 'operations' | 'all'> {
  /** How many processes run at once. */
  workers?: number | undefined
  /** Is given each failure's line at once. */
  onFailure: (line: string, seed: number) => void
  /** Is told whenever a process has ended how many schedules have run. */
  onProgress?: (done: number) => void
}

/** So many schedules run in one process, at most: what it keeps for ever has an end, and compiling takes a small part of its time. */
const MOST_IN_PROCESS = 5000

/**
 * Runs schedules in several processes at once. Without `all` the first failure stops them.
 * @param file the bundle
 * @returns the same as one process that runs all of them, where none is stopped
 */
export async function runInWorkers(file: string, { workers, onFailure, onProgress, ...options }: WorkerOptions): Promise<Totals> {
  const { ranges, operations, all } = options
  const count = workers ?? availableParallelism()
  const parts = partsOf(ranges, count)
  const results: Totals[] = []
  const children = new Set<ChildProcess>()
  let [next, done, hasFailed] = [0, 0, false]
  const runPart = async (index: number): Promise<void> => {
    const given = { ranges: parts[index], operations, all }
    const child = spawn(process.execPath, [...NODE_OPTIONS, file, JSON.stringify(given)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.add(child)
    const closed = new Promise((resolve) => child.once('close', resolve))
    for await (const line of createInterface(child.stdout)) {
      const message = JSON.parse(line)
      if ('failed' in message) {
        hasFailed = true
        onFailure(line, message.failed)
      } else results[index] = message
    }
    await closed
    children.delete(child)
    const isStopped = hasFailed && !all
    if (isStopped) for (const each of children) each.kill()
    else if (!results[index]) throw new Error(`A process has ended without a result: ${JSON.stringify(given)}`)
    done += results[index]?.done ?? 0
    onProgress?.(done)
  }
  const work = async (): Promise<void> => {
    while (next < parts.length && !(hasFailed && !all)) await runPart(next++)
  }
  try {
    await Promise.all(Array.from({ length: count }, work))
  } finally {
    for (const child of children) child.kill()
  }
  return results.reduce(joined, { done: 0, failures: 0, steps: 0, digest: 0, seconds: 0 })
}

/** Each part has some schedules of each range. */
function partsOf(ranges: readonly Seeds[], workers: number): Seeds[][] {
  const most = Math.max(...ranges.map(({ schedules }) => schedules))
  const size = Math.max(1, Math.min(Math.ceil(most / workers), Math.floor(MOST_IN_PROCESS / ranges.length)))
  return Array.from({ length: Math.ceil(most / size) }, (_, index) =>
    ranges.map(({ seed, schedules }) => {
      const start = index * size
      return { seed: seed + start, schedules: Math.max(0, Math.min(size, schedules - start)) }
    }),
  )
}

/** The digest is that of one process: see main.ts. */
function joined(before: Totals, after: Totals): Totals {
  let { digest } = before
  for (let left = after.done; left > 0; left--) digest = Math.imul(digest, 31)
  return {
    done: before.done + after.done,
    failures: before.failures + after.failures,
    steps: before.steps + after.steps,
    digest: (digest + after.digest) >>> 0,
    seconds: before.seconds + after.seconds,
  }
}
