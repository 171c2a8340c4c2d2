import { afterEach, expect, it } from 'vitest'
import type { Bus } from '../../src/index.js'
import { closeApps, startApp } from '../support/app.js'
import { next } from '../support/wait.js'

afterEach(closeApps)

/** Remembers what it is to listen to. */
class Topics extends Set<string> implements Bus {
  start(): void {}
  async subscribe(topic: string): Promise<void> {
    this.add(topic)
  }
  unsubscribe(topic: string): void {
    this.delete(topic)
  }
  publish(): void {}
  close(): void {}
}

it('a socket that outlives its session does not unsubscribe the next session with the same id when it leaves', async () => {
  const topics = new Topics()
  const app = await startApp({ session: { genid: () => 'always this one' }, shared: { bus: topics, onEnd: 'keep' } })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const first = await browser.connect()
  expect(topics.size).toBe(1)
  await browser.get('/destroy')
  expect(topics.size).toBe(0)
  await browser.get('/set?user=ada')
  await browser.connect()
  expect(topics.size).toBe(1)
  const gone = next(app.sockets[0]!, 'disconnect')
  first.disconnect()
  await gone
  expect(topics.size).toBe(1)
})
