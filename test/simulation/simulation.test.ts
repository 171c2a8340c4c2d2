import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { bundle, NODE_OPTIONS } from './bundle.js'
import { FIRST_SEED_OF_BROWSERS, FIRST_SEED_OF_LISTS, FIRST_SEED_OF_PAGES } from './features.js'
import type { Options, Seeds } from './main.js'
import { MUTANTS } from './mutants/mutants.js'
import { FIRST_SEED_OF_RARE_ORDERS } from './rare.js'
import { FIRST_SEED_OF_ROUNDS } from './rounds.js'

const OPERATIONS = 100
/** A fixed part of the schedules, and some that nobody has run before. */
const SCHEDULES = 2001
const FRESH_SCHEDULES = 2001
const FRESH = Math.floor(Math.random() * 2 ** 31)
/** Of those with pages, fixed ones and as many fresh ones. */
const PAGES = 500

/** The same with lists. */
const LISTS = 200

/** Of those with browsers. */
const BROWSERS = 200

/** Seeds whose simulations have shown a mistake once, as long as the plan of a seed stays what it is. */
const REGRESSIONS = [
  589, 1618, 2461, 1_001_735, 1_001_991, 1_002_623, 326_218, 7_000_279, 7_000_831, 40_000_675, 40_003_247, 40_004_045,
  2_147_484_132, 2_800_001_148, 2_177_486_286, 3_148_487_622, 1_400_001_094, 3_547_485_839, 2_747_485_464, 2_747_491_882,
  34_959_746_466, 2_747_494_208, 2_747_497_998, 34_959_748_088,
]

/** The same for pages, counted from their first seed. */
const REGRESSIONS_WITH_PAGES = [
  1370, 500_000_778, 2_147_484_568, 2_147_483_975, 2_147_485_588, 2_147_484_273, 2_147_483_747, 2_148_001_210, 2_148_002_464,
  1_229_277_201, 1_502_303_138, 1_502_303_580, 1_001_002_366,
]

/** The same for browsers. */
const REGRESSIONS_WITH_BROWSERS = [
  506, 319, 468, 226, 600, 32, 327, 280, 78, 246, 456, 402, 983, 554, 52, 1851, 286, 555, 81_000_126, 721_065_607, 721_065_646,
  821_065_516, 821_065_545, 1_121_065_419, 1_121_065_508, 1_121_065_560, 1_121_065_561, 1_121_065_666, 1_321_065_438,
  1_521_065_457, 1_621_065_591, 1_721_065_423, 1_821_065_698, 5_410_066_160, 5_410_067_021, 5_410_065_935, 5_410_066_149,
  5_410_066_918, 1_001_000_196, 1_001_001_904, 1_001_001_873, 1_001_002_882, 1_400_002_702, 1_500_000_118, 1_400_001_905, 740_281,
  120_066_650, 1_499_999_587, 1_499_999_765, 1_499_999_802, 1_400_001_840, 1_730_066_339, 1_740_066_185, 1_613_378_001,
]

interface Result {
  done: number
  digest: number
  steps: number
  /** A line for each failure: the seed, and what was found. */
  failures: string[]
  output: string
}

let path: string

async function run({ seed = 1, schedules = 1, ...options }: Partial<Options & Seeds>, file = path): Promise<Result> {
  const given = { ranges: [{ seed, schedules }], operations: OPERATIONS, ...options }
  const { stdout } = await promisify(execFile)(process.execPath, [...NODE_OPTIONS, file, JSON.stringify(given)], {
    maxBuffer: 2 ** 28,
  })
  const lines = stdout.trim().split('\n')
  const { done, digest, steps } = JSON.parse(lines.at(-1) as string)
  return { done, digest, steps, failures: lines.filter((line) => line.startsWith('{"failed"')), output: stdout }
}

describe('a simulated cluster', () => {
  beforeAll(async () => {
    path = await bundle('test')
  })

  it(`keeps its promises in ${SCHEDULES} fixed schedules, those that have failed before, and ${FRESH_SCHEDULES} fresh ones from seed ${FRESH} on`, async () => {
    console.log(`npm run simulate -- --seed ${FRESH} --schedules ${FRESH_SCHEDULES / 3}`)
    // In one process, which becomes faster. A third of the schedules are rounds, a third has rare orders.
    const firstSeeds = [1, FIRST_SEED_OF_ROUNDS, FIRST_SEED_OF_RARE_ORDERS].map((seed) => ({ seed, schedules: SCHEDULES / 3 }))
    const fresh = [0, FIRST_SEED_OF_ROUNDS, FIRST_SEED_OF_RARE_ORDERS].map((first) => ({
      seed: first + FRESH,
      schedules: FRESH_SCHEDULES / 3,
    }))
    const ranges = [...firstSeeds, ...fresh, ...REGRESSIONS.map((seed) => ({ seed, schedules: 1 }))]
    const { failures, done } = await run({ ranges, all: true })
    expect(failures).toEqual([])
    expect(done).toBe(SCHEDULES + REGRESSIONS.length + FRESH_SCHEDULES)
  }, 900_000)

  it(`keeps what pages are promised, in ${PAGES} fixed schedules and ${PAGES} fresh ones from seed ${FIRST_SEED_OF_PAGES + FRESH} on`, async () => {
    console.log(`npm run simulate -- --seed ${FIRST_SEED_OF_PAGES + FRESH} --schedules ${PAGES}`)
    const ranges = [1, FRESH].map((seed) => ({ seed: FIRST_SEED_OF_PAGES + seed, schedules: PAGES }))
    const again = REGRESSIONS_WITH_PAGES.map((seed) => ({ seed: FIRST_SEED_OF_PAGES + seed, schedules: 1 }))
    const { failures, done } = await run({ ranges: [...ranges, ...again], all: true })
    expect(failures).toEqual([])
    expect(done).toBe(2 * PAGES + REGRESSIONS_WITH_PAGES.length)
  }, 900_000)

  it(`keeps what is added to lists and what is removed, in ${LISTS} fixed schedules and ${LISTS} fresh ones from seed ${FIRST_SEED_OF_LISTS + FRESH} on`, async () => {
    console.log(`npm run simulate -- --seed ${FIRST_SEED_OF_LISTS + FRESH} --schedules ${LISTS}`)
    const ranges = [0, FRESH].map((seed) => ({ seed: FIRST_SEED_OF_LISTS + seed, schedules: LISTS }))
    const { failures, done } = await run({ ranges, all: true })
    expect(failures).toEqual([])
    expect(done).toBe(2 * LISTS)
  }, 900_000)

  it(`keeps what browsers are promised, in ${BROWSERS} fixed schedules`, async () => {
    const fixed = { seed: FIRST_SEED_OF_BROWSERS + 1, schedules: BROWSERS }
    const again = REGRESSIONS_WITH_BROWSERS.map((seed) => ({ seed: FIRST_SEED_OF_BROWSERS + seed, schedules: 1 }))
    const { failures, done } = await run({ ranges: [fixed, ...again], all: true })
    expect(failures).toEqual([])
    expect(done).toBe(BROWSERS + REGRESSIONS_WITH_BROWSERS.length)
  }, 900_000)

  it.each([20, FIRST_SEED_OF_RARE_ORDERS + 20])(
    'is the same for the same seed, to the byte, whatever was simulated before (%s)',
    async (seed) => {
      const alone = await run({ seed, log: true })
      const [again, several] = await Promise.all([run({ seed, log: true }), run({ seed: seed - 5, schedules: 6, log: true })])
      expect(withoutTimes(again.output)).toBe(withoutTimes(alone.output))
      expect(several.output).toContain(alone.output.slice(0, alone.output.lastIndexOf('{"done"')))
      expect(alone.steps).toBeGreaterThan(100)
    },
  )

  it.each(MUTANTS)('has sources that the mutant fits: $name', ({ file, from }) => {
    const text = readFileSync(new URL(`../../src/${file}`, import.meta.url), 'utf8')
    expect(text.split(from)).toHaveLength(2)
  })

  it('shows a mistake, and few operations that lead to it', async () => {
    const mutant = MUTANTS.find(({ name }) => name === 'an ack does not wait for its save')
    const broken = await bundle('broken', [mutant as (typeof MUTANTS)[number]])
    const { failures, output } = await run({ schedules: 50, shrink: true }, broken)
    expect(failures).toHaveLength(1)
    expect(output.match(/^operation \d+/gm)?.length).toBeLessThan(30)
  }, 300_000)
})

function withoutTimes(output: string): string {
  return output.replace(/"seconds":[\d.]+/, '')
}
