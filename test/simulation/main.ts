import { observeCommits } from './commit-log.js'
import { replaceGlobals } from './globals.js'
import { observeMirrors } from './pages.js'
import { shrink } from './shrink.js'
import { simulate } from './simulation.js'

// What runs simulations: the bundle that bundle.ts makes. It prints a line of JSON for each message.

export interface Seeds {
  /** The first one. */
  seed: number
  schedules: number
}

export interface Options {
  /** One of each in turn. */
  ranges: Seeds[]
  operations: number
  /** Prints the log of each simulation. */
  log: boolean
  /** Looks for few operations that suffice, and prints them with the log. */
  shrink: boolean
  /** Goes on after a failure. */
  all: boolean
  /** Prints what happened to the commits of each session, for the model of the protocol. */
  commits?: boolean
}

const startImmediate = setImmediate

function run({ ranges, operations, log, all, shrink: shrinks, commits }: Options): void {
  replaceGlobals()
  process.emitWarning = () => undefined
  if (commits) observeCommits()
  observeMirrors()
  // Those of Node carry messages outside of the simulation.
  Reflect.deleteProperty(globalThis, 'BroadcastChannel')
  // Nobody looks at the stacks of the errors that faults make.
  if (!log) Error.stackTraceLimit = 0
  const began = process.cpuUsage()
  let [done, steps, failures, digest] = [0, 0, 0, 0]
  for (const next of seedsOf(ranges)) {
    const outcome = simulate(next, operations, log, undefined, commits)
    for (const [sid, records] of outcome.commits?.sessions ?? []) print({ commits: sid, seed: next, records })
    done++
    steps += outcome.steps
    digest = (Math.imul(digest, 31) + outcome.digest) >>> 0
    if (outcome.log) process.stdout.write(`${outcome.log.join('\n')}\n`)
    if (outcome.violation === undefined) continue
    failures++
    print({ failed: outcome.seed, violation: outcome.violation, schedules: done })
    if (shrinks) report(shrink(outcome.seed, operations))
    if (!all) break
  }
  const { user, system } = process.cpuUsage(began)
  const seconds = (user + system) / 1e6
  print({ done, failures, steps, digest, seconds })
}

function* seedsOf(ranges: readonly Seeds[]): Iterable<number> {
  const most = Math.max(...ranges.map(({ schedules }) => schedules))
  for (let index = 0; index < most; index++) {
    for (const { seed, schedules } of ranges) if (index < schedules) yield seed + index
  }
}

function report({ plan, violation, log = [] }: ReturnType<typeof shrink>): void {
  process.stdout.write(
    `${[...log, ...plan.map(({ number, do: what }) => `operation ${number} ${what}`), violation].join('\n')}\n`,
  )
}

function print(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}

// Promises are drained between two events, which must not happen within one of them.
startImmediate(() => run(JSON.parse(process.argv[2] as string)))
