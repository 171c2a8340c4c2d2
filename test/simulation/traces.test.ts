import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundle, NODE_OPTIONS, type Replacement } from './bundle.js'
import type { CommitRecord } from './commit-log.js'
import { MUTANTS } from './mutants/mutants.js'
import { Checkers, canCheck } from './protocol/spin.js'
import { type Step, stepsOf, textOf } from './protocol/steps.js'

// What the simulator has seen of commits has to be what the model of the protocol allows.

const SCHEDULES = 60
/** The history of the sources, made so short that it is forgotten whether a write has happened. */
const SHORT: Replacement = { file: 'store/commit-history.ts', from: 'const MAX_COMMIT_IDS = 8', to: 'const MAX_COMMIT_IDS = 3' }
const MOST_CORRUPTED = 10
const ALL = ['PROPOSES', 'ANSWERED', 'TWICE', 'LOST', 'WRITTEN', 'REFUSED', 'UNKNOWN', 'ARRIVES', 'LEARNS']

const run = promisify(execFile)
const checkers = new Checkers()
afterAll(() => checkers.close())

let long: string
let short: string

function mutantOf(name: string): Replacement {
  return MUTANTS.find((mutant) => mutant.name === name) as Replacement
}

/** @returns the traces of the sessions of many schedules, by seed and session */
async function tracesOf(name: string, replacements: readonly Replacement[]): Promise<Map<string, Step[]>> {
  const path = await bundle(name, replacements)
  const options = {
    ranges: [{ seed: 1, schedules: SCHEDULES }],
    operations: 100,
    log: false,
    shrink: false,
    all: true,
    commits: true,
  }
  const { stdout } = await run(process.execPath, [...NODE_OPTIONS, path, JSON.stringify(options)], { maxBuffer: 2 ** 30 })
  const traces = new Map<string, Step[]>()
  for (const line of stdout.split('\n').filter((each) => each.startsWith('{"commits"'))) {
    const { commits, seed, records } = JSON.parse(line) as { commits: string; seed: number; records: CommitRecord[] }
    const steps = stepsOf(records)
    if (steps.length > 0) traces.set(`${seed} ${commits}`, steps)
  }
  return traces
}

/** @returns which step the model does not allow; `undefined` if it allows them all */
async function firstWrong(steps: readonly Step[], program = short): Promise<Step | undefined> {
  const file = join(dirname(program), 'trace')
  writeFileSync(file, textOf(steps))
  const { stdout } = await run(program, ['-E', '-n', '-m20000', '-w14'], {
    cwd: dirname(program),
    env: { ...process.env, TRACE: file },
  })
  const [, done, all] = stdout.match(/trace: (\d+) of (\d+) steps/) ?? []
  expect(Number(all)).toBe(steps.length)
  expect(stdout).not.toMatch(/max search depth too small|out of memory/)
  return Number(done) === steps.length && /errors: 0/.test(stdout) ? undefined : steps[Number(done)]
}

/** @returns the first trace that the model does not allow */
async function wrongOf(traces: ReadonlyMap<string, Step[]>, program = short): Promise<string | undefined> {
  for (const [name, steps] of traces) {
    const step = await firstWrong(steps, program)
    if (step) return `${name}: ${JSON.stringify(step)} at ${steps.indexOf(step)}`
  }
  return undefined
}

describe.runIf(await canCheck())('the commits of simulated clusters', () => {
  let traces: Map<string, Step[]>

  beforeAll(async () => {
    const flags = ['-DNOREDUCE', '-DVECTORSZ=16384']
    long = await checkers.make(['TRACE'], flags)
    short = await checkers.make(['TRACE', 'SHORT'], flags)
    traces = await tracesOf('traces-short', [SHORT])
  }, 300_000)

  it('are what the model of the protocol allows', async () => {
    expect(await wrongOf(await tracesOf('traces', []), long)).toBeUndefined()
    expect(await wrongOf(traces)).toBeUndefined()
    // All that may happen to a commit has happened.
    const kinds = new Set([...traces.values()].flat().map(({ kind }) => kind))
    expect([...kinds].sort()).toEqual([...ALL].sort())
  }, 300_000)

  it.each<[string, (step: Step, before: readonly Step[]) => Partial<Step> | undefined]>([
    ['an ack of what was not written', ({ kind }) => (kind === 'REFUSED' ? { kind: 'WRITTEN' } : undefined)],
    ['a refusal of what was written', ({ kind }) => (kind === 'WRITTEN' ? { kind: 'REFUSED' } : undefined)],
    ['a refusal where nothing tells any more', ({ kind }) => (kind === 'UNKNOWN' ? { kind: 'REFUSED' } : undefined)],
    [
      'an expectation that nobody has read',
      ({ kind, base, process }, before) => {
        const isKnown = before.some((each) => each.kind === 'LEARNS' && each.process === process && each.base === base + 1)
        return kind === 'PROPOSES' && !isKnown ? { base: base + 1 } : undefined
      },
    ],
    [
      'a write that expected something else',
      ({ kind, written }) => (kind === 'ANSWERED' && !written ? { written: true } : undefined),
    ],
    ['a lost write that comes twice', ({ kind, written }) => (kind === 'ARRIVES' && !written ? { written: true } : undefined)],
  ])('would not be allowed with %s', async (_, corrupt) => {
    let count = 0
    for (const steps of traces.values()) {
      const at = steps.findIndex((step, index) => corrupt(step, steps.slice(0, index)))
      if (at < 0 || count === MOST_CORRUPTED) continue
      count++
      const step = steps[at] as Step
      const corrupted = steps.with(at, { ...step, ...corrupt(step, steps.slice(0, at)) })
      expect((await firstWrong(corrupted))?.id).toBe(step.id)
    }
    expect(count).toBeGreaterThan(0)
  })

  it.each([
    'a lost answer counts as a refusal',
    'a write of unknown outcome counts as refused',
    'a refusal counts as written',
    'a write expects nothing of what is there',
    'a commit is not added to the history',
    'a commit goes on with the base of a refused one',
  ])(
    'are not allowed where %s',
    async (mutant) => {
      expect(await wrongOf(await tracesOf('traces-mutant', [SHORT, mutantOf(mutant)]))).toBeDefined()
    },
    300_000,
  )
})
