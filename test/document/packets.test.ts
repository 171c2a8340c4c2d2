import { expect, it } from 'vitest'
import { sendPackets } from './packets.js'

it('whatever clients send: the process lives, and the store has what it had before or the whole value', async () => {
  const seed = Math.floor(Math.random() * 1_000_000)
  const { kept, refused, failures } = await sendPackets(400, seed)
  expect(failures, `replay: npm run fuzz -- --mode packets --seed ${seed} --runs 400`).toEqual([])
  expect(kept).toBeGreaterThan(100)
  expect(refused).toBeGreaterThan(20)
}, 60_000)
