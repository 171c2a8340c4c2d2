import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { bundle, NODE_OPTIONS } from '../bundle.js'
import { FIRST_SEED_OF_LISTS, FIRST_SEED_OF_PAGES } from '../features.js'
import { FIRST_SEED_OF_RARE_ORDERS } from '../rare.js'
import { FIRST_SEED_OF_ROUNDS } from '../rounds.js'
import { HOLES, MUTANTS, type Mutant } from './mutants.js'

// npm run simulate:mutants -- [--only TEXT] [--schedules N]: how many schedules it takes to find each mutant, as a table in docs/simulation.md.

/** The first seeds; the same as those of `npm test`. */
const SEEDS = [1, FIRST_SEED_OF_ROUNDS, FIRST_SEED_OF_PAGES + 1, FIRST_SEED_OF_RARE_ORDERS, FIRST_SEED_OF_LISTS]
const page = fileURLToPath(new URL('../../../docs/simulation.md', import.meta.url))

const { values } = parseArgs({ options: { only: { type: 'string' }, schedules: { type: 'string', default: '1000' } } })
const most = Number(values.schedules)

interface Found {
  mutant: Mutant
  schedules: number | undefined
  violation: string
}

async function find(mutant: Mutant): Promise<Found> {
  const path = await bundle(`mutant-${process.pid}`, [mutant])
  const ranges = SEEDS.map((seed) => ({ seed, schedules: Math.ceil(most / SEEDS.length) }))
  const options = { ranges, operations: 100 }
  const child = spawn(process.execPath, [...NODE_OPTIONS, path, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'ignore'] })
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  await new Promise((resolve) => child.on('close', resolve))
  const line = output.split('\n').find((each) => each.startsWith('{"failed"'))
  if (!line) return { mutant, schedules: undefined, violation: '' }
  const { schedules, violation } = JSON.parse(line)
  return { mutant, schedules, violation: kindOf(violation) }
}

/** A violation in general words. */
function kindOf(violation: string): string {
  const [first = ''] = violation.split(/[;{\n]/)
  return first
    .replace(/^session \S+, [^:]*: /, '')
    .replace(/^session s[\w-]{8}/, 'a session')
    .replaceAll(/ of session s[\w-]{8}| session s[\w-]{8}| on n\d[a-z]/g, '')
    .replaceAll(/\b[ik]?\d+\b/g, '…')
    .slice(0, 70)
    .trim()
}

const found: Found[] = []
for (const mutant of MUTANTS.filter(({ name }) => !values.only || name.includes(values.only))) {
  const result = await find(mutant)
  found.push(result)
  console.log(`${result.schedules ?? 'NOT FOUND'}\t${mutant.name}\t${result.violation}`)
}
const rows = found.map(
  ({ mutant, schedules, violation }) =>
    `| ${mutant.name} | \`${mutant.file}\` | ${schedules ?? `not in ${most}`} | ${violation || (HOLES[mutant.name] ?? '')} |`,
)
const table = ['| the mutant | in `src/` | schedules | what was found |', '|---|---|---|---|', ...rows].join('\n')
if (!values.only) {
  const [before, , after] = readFileSync(page, 'utf8').split(/<!-- mutants(?: end)? -->/)
  writeFileSync(page, `${before}<!-- mutants -->\n${table}\n<!-- mutants end -->${after}`)
}
