import { parseArgs } from 'node:util'
import { describe, fuzzOne, type Mode } from './fuzz.js'

// npm run fuzz -- [--mode local|remote|both] [--runs N] [--seed N] [--run M]
const { values } = parseArgs({
  options: {
    mode: { type: 'string' },
    runs: { type: 'string', default: '20000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    run: { type: 'string' },
  },
})
const seed = Number(values.seed)
const modes = values.mode ? [values.mode as Mode] : (['local', 'remote', 'both'] as const)
const first = values.run === undefined ? 0 : Number(values.run)
const end = values.run === undefined ? Number(values.runs) : first + 1
let failed = 0
for (const mode of modes) {
  let failures = 0
  for (let run = first; run < end; run++) {
    const failure = fuzzOne(seed, run, mode)
    if (failure && ++failures <= 3) console.log(describe(failure))
  }
  console.log(`${mode}: ${end - first} runs with seed ${seed}, ${failures} failures`)
  failed += failures
}
process.exitCode = failed > 0 ? 1 : 0
