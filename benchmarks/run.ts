// npm run bench -- [--quick] [--only part,part] [--merge] [--rounds n]
//   --quick   only sees that everything runs; in CI
//   --only    some parts, reported in a temporary folder
//   --merge   with --only: puts what these parts find into the report that is there
//   --rounds  other than each part's own number
//   --stores  only these: memory, redis, postgres, generic; with --only
//   --report  measures nothing: writes the report of the saved results again, as after a change of NOTES.md
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile } from './compile.js'
import { environment } from './environment.js'
import type { Results } from './pages.js'
import type { Findings, Part } from './part.js'
import { parts } from './questions.js'
import { quotePages, readSaved, writeReport } from './report.js'
import { startServers } from './servers.js'
import type { Urls } from './stores.js'

/** Whatever goes wrong, it ends: a run of all parts takes about half an hour. In ms. */
const LIMIT = 60 * 60_000

const given = process.argv.slice(2)
const quick = given.includes('--quick')
const after = (name: string): string | undefined => (given.includes(name) ? given[given.indexOf(name) + 1] : undefined)
const only = after('--only')?.split(',')
const rounds = after('--rounds')
const stores = after('--stores')?.split(',')
const unknown = only?.filter((name) => !parts.some((part) => part.name === name)) ?? []
if (unknown.length > 0) throw new Error(`No such part: ${unknown}. There are ${parts.map(({ name }) => name).join(', ')}.`)

setTimeout(() => {
  console.error(`The benchmarks have not ended after ${LIMIT / 60_000} minutes.`)
  process.exit(1)
}, LIMIT).unref()

const began = performance.now()
const elapsed = (): string => {
  const seconds = Math.round((performance.now() - began) / 1000)
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}

async function measure(part: Part, urls: Required<Urls>): Promise<Findings> {
  const progress = (text: string): void => console.error(`${elapsed()} ${part.name}: ${text}`)
  progress('begins')
  return part.run({ quick, rounds: rounds ? Number(rounds) : undefined, stores, urls, progress })
}

if (given.includes('--report')) {
  const saved = readSaved()!
  writeReport(saved, true)
  quotePages(saved.results)
  process.exit()
}

await compile()
const servers = await startServers()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => servers.stop().then(() => process.exit(1)))
const merge = given.includes('--merge')
const results: Results = (merge && readSaved()?.results) || {}
try {
  for (const part of parts.filter(({ name }) => !only || only.includes(name))) {
    try {
      results[part.name] = { findings: await measure(part, servers.urls) }
    } catch (error) {
      process.exitCode = 1
      console.error(`${part.name} failed: ${error instanceof Error ? error.stack : error}`)
      results[part.name] = { failed: error instanceof Error ? error.message : String(error) }
    }
  }
} finally {
  await servers.stop()
}
// What a short run finds means nothing, and what some parts find is no report.
const whole = !quick && (!only || merge)
const command = ['npm run bench', ...(given.length > 0 ? ['--', ...given] : [])].join(' ')
const written = writeReport({ environment: environment(command, elapsed()), results }, whole)
if (only && !quick) for (const page of ['README.md', 'TARGETS.md']) console.log(readFileSync(join(written, page), 'utf8'))
if (whole) quotePages(results)
console.log(`benchmarks: ${Object.keys(results).length} parts in ${elapsed()}; the report is in ${written}`)
