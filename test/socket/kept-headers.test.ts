import { createHmac } from 'node:crypto'
import expressSession from 'express-session'
import { afterEach, describe, expect, it } from 'vitest'
import { readCookies } from '../../src/socket/handshake/handshake-cookie.js'
import { VerifiedCookies } from '../../src/socket/handshake/verified-cookies.js'
import { closeApps, startApp } from '../support/app.js'
import { collectGarbage } from '../support/garbage.js'
import { until } from '../support/wait.js'

afterEach(closeApps)

const MB = 2 ** 20
/** They are hundreds of requests, in ms. */
const TIME_LIMIT = 240_000
const NAME = 'connect.sid'

/** A long `Cookie` header with a genuine session cookie. express-session takes one that is not percent-encoded, and no part of it is copied then. */
function header(index: number, length: number): string {
  const sid = `session-${String(index).padStart(16, '0')}`
  const signature = createHmac('sha256', 'secret').update(sid).digest('base64').replace(/=+$/, '')
  return Buffer.from(`${NAME}=s:${sid}.${signature}; padding=`.padEnd(length, 'x')).toString('latin1')
}

/** @returns how much more memory is used afterwards, in MB */
async function growth(work: () => unknown): Promise<number> {
  await collectGarbage()
  const before = process.memoryUsage().heapUsed
  await work()
  await collectGarbage()
  return (process.memoryUsage().heapUsed - before) / MB
}

async function inBatches(begin: number, many: number, call: (index: number) => Promise<unknown>): Promise<void> {
  for (let at = begin; at < begin + many; at += 125)
    await Promise.all(Array.from({ length: 125 }, (_, index) => call(at + index)))
}

/** Does not make a copy of an id, as one does that has an object of its sessions. */
class MapStore extends expressSession.Store {
  readonly #sessions = new Map<string, string>()

  get(sid: string, callback: (error: unknown, session?: expressSession.SessionData | null) => void): void {
    setImmediate(callback, null, JSON.parse(this.#sessions.get(sid) ?? 'null'))
  }

  set(sid: string, session: expressSession.SessionData, callback?: (error?: unknown) => void): void {
    this.#sessions.set(sid, JSON.stringify(session))
    if (callback) setImmediate(callback)
  }

  destroy(sid: string, callback?: (error?: unknown) => void): void {
    this.#sessions.delete(sid)
    if (callback) setImmediate(callback)
  }
}

describe('long Cookie headers are not kept', () => {
  it('with the ids in their cookies', async () => {
    const session = expressSession({ secret: 'secret', resave: false, saveUninitialized: false })
    const verified = new VerifiedCookies(session)
    let accepted = 0
    const grown = await growth(() => {
      for (let index = 0; index < 10_000; index++) {
        const cookie = header(index, 4000)
        const value = readCookies(cookie, NAME).session as string
        const url = Buffer.from(`/a/long/path/socket.io/?${'x'.repeat(2000)}`).toString('latin1')
        if (verified.sidIn({ url, headers: { cookie }, socket: {} } as never, NAME, value)) accepted++
      }
    })
    expect(accepted).toBe(10_000)
    // 60 MB otherwise.
    expect(grown).toBeLessThan(20)
    expect(verified.sidIn({ url: '/', headers: {} } as never, NAME, '')).toBeUndefined()
  })

  it(
    'of requests whose sessions are gone',
    async () => {
      const app = await startApp({ store: new MapStore() })
      // The store is known from the first socket on.
      await app.browser().connect()
      const visit = async (index: number): Promise<void> => {
        const response = await fetch(`${app.url}/session`, { headers: { cookie: header(index, 15_500) } })
        await response.text()
      }
      await inBatches(0, 125, visit)
      const grown = await growth(() => inBatches(125, 800, visit))
      // 14 MB otherwise.
      expect(grown).toBeLessThan(9)
    },
    TIME_LIMIT,
  )

  it(
    'of handshakes whose sessions are gone',
    async () => {
      const app = await startApp({ store: new MapStore(), wire: (io, shared) => void shared.attach(io) })
      const url = `${app.url}/socket.io/?EIO=4&transport=polling`
      const visit = async (index: number): Promise<void> => {
        const opened = await (await fetch(url, { headers: { cookie: header(index, 15_500) } })).text()
        const own = `${url}&sid=${JSON.parse(opened.slice(1)).sid}`
        await fetch(own, { method: 'POST', body: '40' })
        expect(await (await fetch(own)).text()).toContain('40{')
        await fetch(own, { method: 'POST', body: '1' })
      }
      const come = async (begin: number, many: number): Promise<void> => {
        await inBatches(begin, many, visit)
        await until(() => app.io.engine.clientsCount === 0)
        app.sockets.length = 0
      }
      await come(0, 125)
      const grown = await growth(() => come(125, 500))
      // 17 MB otherwise.
      expect(grown).toBeLessThan(9)
    },
    TIME_LIMIT,
  )
})
