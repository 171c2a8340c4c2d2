import { expect, it, vi } from 'vitest'
import { RemoteRotations } from '../../src/cluster/remote-rotations.js'
import { turns } from '../support/live.js'

it('a flood of messages about one rotation is waited for once', async () => {
  const onOver = vi.fn()
  const rotations = new RemoteRotations(60_000, onOver)
  const waits = new Set(Array.from({ length: 500 }, () => rotations.over('topic')))
  expect(waits.size).toBe(1)
  rotations.noteCookieSent('topic')
  await Promise.all(waits)
  await turns()
  expect(onOver).toHaveBeenCalledExactlyOnceWith('topic')
  expect(rotations.has('topic')).toBe(false)
})

it('one whose topic is not heard any more does not end before the wait', async () => {
  const rotations = new RemoteRotations(60_000, () => undefined)
  const onOver = vi.fn()
  rotations.over('topic').then(onOver)
  rotations.forget()
  expect(rotations.has('topic')).toBe(false)
  await turns()
  expect(onOver).not.toHaveBeenCalled()
})
