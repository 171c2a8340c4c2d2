import { describe, expect, it } from 'vitest'
import { mirror } from '../../src/client/index.js'
import { conformance } from '../../src/client/testing/index.js'

describe('the mirror speaks the protocol', () => {
  const cases = conformance((socket) => {
    const live = mirror(socket)
    return { get: live.get, isLive: () => live.status === 'live', listen: (listener) => void live.listen(listener) }
  })
  it.each(cases)('it $name', ({ run }) => run())
})

describe('the cases', () => {
  it('do not pass for a client that does nothing', () => {
    const failed = conformance(() => ({ get: () => undefined })).filter(({ run }) => {
      try {
        run()
        return false
      } catch {
        return true
      }
    })
    expect(failed.length).toBeGreaterThan(20)
  })
})
