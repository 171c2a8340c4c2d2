import { expect, it } from 'vitest'
import { describe, type Failure, fuzzOne, type Mode } from './fuzz.js'

const MODES: Mode[] = ['local', 'remote']
const RUNS = 120

it.each(MODES)('a document behaves like plain objects in random operations (%s)', (mode) => {
  const seed = Math.floor(Math.random() * 1_000_000)
  let failure: Failure | undefined
  for (let run = 0; failure === undefined && run < RUNS; run++) failure = fuzzOne(seed, run, mode)
  expect(failure && describe(failure)).toBeUndefined()
})
