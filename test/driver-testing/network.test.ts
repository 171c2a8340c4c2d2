import { afterEach, describe, expect, it, vi } from 'vitest'
import type { StoreDriver } from '../../src/driver.js'
import { cases } from '../../src/driver-testing/index.js'
import { sample } from './sample.js'

describe('a driver that rejects for good after its connection was lost', () => {
  afterEach(() => vi.restoreAllMocks())

  it.each<[string, (keyof StoreDriver)[]]>([
    ['an answer is lost, and the write was not done', ['write']],
    ['an outage rejects: no session is absent because the server is', ['read', 'readMany', 'write', 'touch', 'destroy']],
  ])('fails the case, and the event loop turns meanwhile: %s', async (name, methods) => {
    let isLost = false
    const lose = async (): Promise<void> => {
      isLost = true
    }
    const driver = sample((_rows, whole) => {
      const losing = methods.map((method) => {
        const original = whole[method] as (...args: unknown[]) => Promise<unknown>
        const call = async (...args: unknown[]): Promise<unknown> => {
          if (isLost) throw new Error('lost')
          return original(...args)
        }
        return [method, call]
      })
      return Object.fromEntries(losing)
    })
    let now = 0
    vi.spyOn(performance, 'now').mockImplementation(() => now)
    const ticks = setInterval(() => {
      now += 1000
    })
    const network = { loseAnswer: lose, loseRequest: lose, down: () => void lose(), up: () => undefined }
    try {
      await expect(
        cases({ driver, network })
          .find((each) => each.name === name)
          ?.run(),
      ).rejects.toThrow('lost')
    } finally {
      clearInterval(ticks)
    }
    expect(now).toBeGreaterThan(10_000)
  })
})
