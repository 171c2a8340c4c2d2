import { expect, it } from 'vitest'
import { expectWarning } from '../support/warnings.js'
import { sendPackets } from './client-packets.js'

it('random client packets: the process stays up, and the store has the value before or the whole new value', async () => {
  expectWarning('SHAREDSESSION_NOT_JSON')
  const seed = Math.floor(Math.random() * 1_000_000)
  const { kept, refused, failures } = await sendPackets(400, seed)
  expect(failures, `replay: npm run fuzz -- --mode packets --seed ${seed} --runs 400`).toEqual([])
  expect(kept).toBeGreaterThan(100)
  expect(refused).toBeGreaterThan(20)
})
