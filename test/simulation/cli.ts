import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { bundle, NODE_OPTIONS } from './bundle.js'
import { FIRST_SEED_OF_BROWSERS, FIRST_SEED_OF_LISTS, FIRST_SEED_OF_PAGES } from './features.js'
import type { Options, Seeds } from './main.js'
import { FIRST_SEED_OF_RARE_ORDERS } from './rare.js'
import { FIRST_SEED_OF_ROUNDS } from './rounds.js'
import { runInWorkers } from './workers.js'

// npm run simulate -- [--seed N] [--mix] [--schedules N] [--operations N] [--workers N] [--log] [--shrink] [--all]

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    mix: { type: 'boolean', default: false },
    schedules: { type: 'string', default: '1000' },
    operations: { type: 'string', default: '100' },
    workers: { type: 'string' },
    log: { type: 'boolean', default: false },
    shrink: { type: 'boolean', default: false },
    all: { type: 'boolean', default: false },
  },
})
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed)
const schedules = Number(values.schedules)
const kinds = values.mix
  ? [0, FIRST_SEED_OF_ROUNDS, FIRST_SEED_OF_PAGES, FIRST_SEED_OF_BROWSERS, FIRST_SEED_OF_RARE_ORDERS, FIRST_SEED_OF_LISTS]
  : [0]
if (values.mix && seed >= 2 ** 31) throw new Error('--mix takes a seed below 2147483648, and adds where each kind begins.')
const ranges: Seeds[] = kinds.map((kind) => ({ seed: kind + seed, schedules: Math.ceil(schedules / kinds.length) }))
const options: Options = { ranges, operations: Number(values.operations), all: values.all, log: values.log, shrink: false }
const workers = values.workers === undefined ? undefined : Number(values.workers)
if (workers !== undefined && !(workers >= 1)) throw new Error('--workers takes a number from 1 on.')
const failed: number[] = []
const began = performance.now()
// Other runs have other sources.
const path = await bundle(`cli-${process.pid}`)
process.on('exit', () => rmSync(path, { force: true }))
console.error(`seed ${seed}, ${schedules} schedules of ${options.operations} operations`)
// A log is in the order of the seeds.
if (values.log && !values.shrink) {
  await inOneProcess(options, (line) =>
    line.startsWith('{"failed"') ? onFailure(line, JSON.parse(line).failed) : console.log(line),
  )
} else {
  const totals = await runInWorkers(path, { ...options, workers, onFailure, onProgress })
  for (const each of values.shrink ? failed : []) {
    const shrunk = { ...options, ranges: [{ seed: each, schedules: 1 }], shrink: true, log: false }
    await inOneProcess(shrunk, (line) => line.startsWith('{"') || console.log(line))
  }
  console.log(JSON.stringify(totals))
}
if (failed.length > 0) process.exitCode = 1

function onFailure(line: string, of: number): void {
  console.log(line)
  failed.push(of)
}

function onProgress(done: number): void {
  const rate = Math.round(done / ((performance.now() - began) / 1000))
  console.error(`${done} schedules, ${failed.length} failures, ${rate} a second`)
}

async function inOneProcess(given: Options, onLine: (line: string) => void): Promise<void> {
  const flags = [...NODE_OPTIONS, '--enable-source-maps']
  const child = spawn(process.execPath, [...flags, path, JSON.stringify(given)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  for await (const line of createInterface(child.stdout)) onLine(line)
  const [code] = await closed
  if (code !== 0) process.exitCode = 1
}
