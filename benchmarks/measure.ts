const quick = process.argv.includes('--quick')
const ROUNDS = quick ? 3 : 15
const ROUND_MS = quick ? 5 : 50

let sink: unknown

/** The median over several rounds of what one call takes, in ms. Ratios of two such figures carry to other machines; they do not. */
export function perCall(call: () => unknown): number {
  const rounds = Array.from({ length: ROUNDS }, () => round(call))
  return rounds.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] as number
}

function round(call: () => unknown): number {
  const start = performance.now()
  let calls = 0
  let elapsed = 0
  do {
    for (let i = 0; i < 10; i++) sink = call()
    calls += 10
    elapsed = performance.now() - start
  } while (elapsed < ROUND_MS)
  return elapsed / calls
}

/** Prints a table in Markdown. */
export function table(head: string[], rows: string[][]): void {
  for (const row of [head, head.map(() => '---'), ...rows]) console.log(`| ${row.join(' | ')} |`)
  if (sink === table) console.log('')
}
