import { parseArgs } from 'node:util'
import { sendPackets } from './client-packets.js'
import { describe, fuzzOne, type Mode } from './fuzz.js'

// npm run fuzz -- [--mode local|remote|both|packets] [--runs N] [--seed N] [--run M]
const { values } = parseArgs({
  options: {
    mode: { type: 'string' },
    runs: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    run: { type: 'string' },
  },
})
const seed = Number(values.seed)
const modes = values.mode ? [values.mode as Mode | 'packets'] : (['local', 'remote', 'both', 'packets'] as const)
const first = values.run === undefined ? 0 : Number(values.run)
const end = values.run === undefined ? Number(values.runs ?? 20_000) : first + 1
/** What may be in use besides what was before, in bytes: what the engine has compiled and keeps. */
const SLACK = 10_000_000
let failed = 0
for (const mode of modes) {
  if (mode === 'packets') {
    const { kept, refused, grown, failures } = await sendPackets(Number(values.runs ?? 100_000), seed)
    if (grown > SLACK) failures.push(`the heap has grown by ${grown} bytes`)
    for (const failure of failures) console.log(failure)
    console.log(
      `packets: ${kept} kept, ${refused} refused with seed ${seed}, heap ${grown} bytes more, ${failures.length} failures`,
    )
    failed += failures.length
    continue
  }
  let failures = 0
  for (let run = first; run < end; run++) {
    const failure = fuzzOne(seed, run, mode)
    if (failure && ++failures <= 3) console.log(describe(failure))
  }
  console.log(`${mode}: ${end - first} runs with seed ${seed}, ${failures} failures`)
  failed += failures
}
process.exitCode = failed > 0 ? 1 : 0
