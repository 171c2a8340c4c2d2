import { expect, it } from 'vitest'
import { describe, type Failure, fuzzOne, type Mode } from './fuzz.js'

const MODES: Mode[] = ['local', 'remote']

it.each(MODES)('a document behaves like plain objects in random operations (%s)', (mode) => {
  const seed = Math.floor(Math.random() * 1_000_000)
  const end = Date.now() + 1_700
  let failure: Failure | undefined
  for (let run = 0; failure === undefined && Date.now() < end; run++) failure = fuzzOne(seed, run, mode)
  expect(failure && describe(failure)).toBeUndefined()
})
