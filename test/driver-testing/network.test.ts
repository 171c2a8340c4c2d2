import { afterEach, describe, expect, it, vi } from 'vitest'
import { IndeterminateWriteError, type NextSession, type StoreDriver } from '../../src/driver.js'
import { cases, type DriverNetwork } from '../../src/driver-testing/index.js'
import { sample } from './sample.js'

const NOT_DONE = 'an answer is lost, and the write was not done'
const OUTAGE = 'an outage rejects: no session is absent because the server is'

/** Runs a case over a driver whose methods fail for good once its connection was lost. */
async function runLosing(
  name: string,
  methods: (keyof StoreDriver)[],
  error: (sid: string, text: string) => unknown,
): Promise<void> {
  let isLost = false
  const lose = async (): Promise<void> => {
    isLost = true
  }
  const network: DriverNetwork = { loseAnswer: lose, loseRequest: lose, down: () => void lose(), up: () => undefined }
  const driver = sample((_rows, whole) => {
    const losing = methods.map((method) => {
      const original = whole[method] as (...args: unknown[]) => Promise<unknown>
      const call = async (sid: string, next?: NextSession, ...args: unknown[]): Promise<unknown> => {
        if (isLost) throw error(sid, String(next?.text))
        return original(sid, next, ...args)
      }
      return [method, call]
    })
    return Object.fromEntries(losing)
  })
  await cases({ driver, network })
    .find((each) => each.name === name)
    ?.run()
}

describe('a driver that rejects for good after its connection was lost', () => {
  afterEach(() => vi.restoreAllMocks())

  it.each<[string, (keyof StoreDriver)[]]>([
    [NOT_DONE, ['write']],
    [OUTAGE, ['read', 'readMany', 'write', 'touch', 'destroy']],
  ])('fails the case, and the event loop turns meanwhile: %s', async (name, methods) => {
    let now = 0
    vi.spyOn(performance, 'now').mockImplementation(() => now)
    const ticks = setInterval(() => {
      now += 1000
    })
    try {
      await expect(runLosing(name, methods, () => new Error('lost'))).rejects.toThrow('lost')
    } finally {
      clearInterval(ticks)
    }
    expect(now).toBeGreaterThan(10_000)
  })
})

describe('a driver whose errors show a session fails the case: they show', () => {
  it.each<[string, string, keyof StoreDriver, string, (sid: string, text: string) => Error]>([
    ['its id', OUTAGE, 'read', 'the id', (sid) => Object.assign(new Error('lost'), { args: [sid] })],
    ['its content', NOT_DONE, 'write', 'what is in', (_sid, text) => Object.assign(new Error('lost'), { command: { text } })],
    ['its id in the cause', NOT_DONE, 'write', 'the id', (sid) => new IndeterminateWriteError(new Error(`GET ${sid}`))],
  ])('%s', async (_what, name, method, shown, error) => {
    await expect(runLosing(name, [method], error)).rejects.toThrow(`the error shows ${shown}`)
  })
})
