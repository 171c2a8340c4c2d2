import expressSession from 'express-session'
import type { Socket } from 'socket.io'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { mirror } from '../../src/client/index.js'
import {
  type App,
  type AppOptions,
  type Browser,
  type ConnectOptions,
  closeApps,
  startApp,
  type TestClient,
} from '../support/app.js'
import { CookieBrowser, closePages } from '../support/browser.js'
import { ControlledStore } from '../support/controlled-store.js'
import { handshakeCookies, pairOf } from '../support/cookies.js'
import { letIn } from '../support/handshake.js'
import { next, until } from '../support/wait.js'

afterEach(async () => {
  vi.useRealTimers()
  closePages()
  await closeApps()
})

type Kick = (session: Record<string, any>, app: App, socket: Socket) => unknown

const destroy: Kick = (session) => session.destroy()

/** A server that does that to each socket that comes to it. */
function kicking(kick: Kick, { wire, ...options }: AppOptions = {}): Promise<App> {
  return startApp({
    store: new ControlledStore(),
    connection: (socket, app) => kick(socket.handshake.session as any, app, socket),
    ...(wire && { wire }),
    ...options,
  })
}

/**
 * A client that comes back by itself at once, as a browser: it sends the cookie that it was last given.
 * @returns how often it has come until it stays away, and what it was told last
 */
function comes(
  browser: Browser,
  { keeps = true, ...options }: ConnectOptions & { keeps?: boolean } = {},
): Promise<[number, string]> {
  return new Promise((resolve) => {
    const client = browser.open({ reconnection: true, reconnectionDelay: 1, randomizationFactor: 0, ...options })
    let times = 0
    const attempt = (): void => {
      times++
      if (!keeps) return
      handshakeCookies(client).then((lines) => {
        browser.cookie = pairOf(lines) ?? browser.cookie
      })
    }
    // Its first connection is being made.
    attempt()
    client.io.on('reconnect_attempt', () => {
      Object.assign(client.io.opts, browser.cookie !== undefined && { extraHeaders: { cookie: browser.cookie } })
      setImmediate(attempt)
    })
    const stays = (why: string): void => {
      if (!client.active) resolve([times, why])
    }
    client.on('disconnect', stays)
    client.on('connect_error', ({ message, data }: any) => stays(data?.code ?? message))
  })
}

const AWAY = 'io server disconnect'

/** Ways in which a server ends a session on its socket's arrival. */
const kicks: Record<string, Kick> = {
  'session.destroy()': destroy,
  'session.destroy() after an await': async (session) => {
    await new Promise(setImmediate)
    await session.destroy()
  },
  'a write, and session.destroy()': (session) => {
    session.visits = (session.visits ?? 0) + 1
    return session.destroy()
  },
  'update(), and session.destroy()': async (session, app, socket) => {
    session.visits = (session.visits ?? 0) + 1
    await app.shared.update<any>(socket, (draft) => ({ ...draft, kicked: true }))
    await session.destroy()
  },
  'shared.destroy(socket)': (_session, app, socket) => app.shared.destroy(socket),
  'shared.destroy(sessionID)': (_session, app, socket) => app.shared.destroy((socket.handshake as any).sessionID),
  'store.destroy()': (_session, app, socket) => app.store.destroy((socket.handshake as any).sessionID),
  'session.destroy() in the first event of the client': (session, _app, socket) => {
    socket.on('join', () => session.destroy())
  },
  'a session that expires at once': (session) => {
    session.cookie.maxAge = 20
    session.visits = 1
  },
}

describe('a session that the application ends whenever its socket connects', () => {
  for (const [how, kick] of Object.entries(kicks)) {
    describe(`by ${how}`, () => {
      /** A client that sends an event as soon as it is let in. */
      const open = (browser: Browser): Browser => ({
        ...browser,
        open(options) {
          const client = browser.open(options)
          client.on('connect', () => client.emit('join'))
          return client
        },
      })

      it('is not created again and again for a client without a cookie', async () => {
        const app = await kicking(kick)
        expect(await comes(open(app.browser()), { keeps: false })).toEqual([1, AWAY])
      })

      it('is not created again and again for a client that keeps none of the cookies it gets', async () => {
        const app = await kicking(kick, { wire: (io, shared) => void shared.attach(io) })
        expect(await comes(open(app.browser()), { keeps: false })).toEqual([1, AWAY])
      })

      it('lets a client reconnect once if its cookie names the session', async () => {
        const app = await kicking(kick)
        const browser = app.browser()
        await browser.get('/set?user=ada')
        expect(await comes(open(browser))).toEqual([2, AWAY])
      })

      it('lets no client reconnect for ever whose handshake cookie an HTTP request has used', async () => {
        const app = await kicking(kick, { wire: (io, shared) => void shared.attach(io) })
        const browser = app.browser()
        await comes(browser.cookie ? browser : open(browser))
        await browser.get('/session')
        const [times, why] = await comes(open(browser))
        expect(why).toBe(AWAY)
        expect(times).toBeLessThanOrEqual(2)
      })
    })
  }

  it('in a middleware: its client is refused with SESSION_ENDED, and does not reconnect', async () => {
    const app = await kicking(() => undefined, {
      wire(io, shared) {
        io.use(shared)
        io.use((socket, done) => {
          ;(socket.handshake.session as any).destroy().then(() => setTimeout(done, 50))
        })
      },
    })
    expect(await comes(app.browser())).toEqual([1, 'SESSION_ENDED'])
    const browser = app.browser()
    await browser.get('/set?user=ada')
    expect(await comes(browser)).toEqual([2, 'SESSION_ENDED'])
  })

  it('in one of several namespaces of a connection: that one stays away, the others stay', async () => {
    const app = await startApp({
      store: new ControlledStore(),
      wire(io, shared) {
        shared.attach(io)
        io.of('/kick').on('connection', (socket) => void (socket.handshake.session as any).destroy())
      },
    })
    const browser = app.browser()
    const main = await browser.connect({ reconnection: true, reconnectionDelay: 1 })
    // A connection without a cookie that the client sends has a session for all its namespaces.
    const kick = main.io.socket('/kick', {}) as TestClient
    expect(await next(kick, 'disconnect')).toBe(AWAY)
    expect(kick.active).toBe(false)
  })

  it('by two tabs of a visitor, one after the other: both stay away', async () => {
    const app = await kicking(async (session) => {
      await new Promise((resolve) => setTimeout(resolve, 20))
      await session.destroy()
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const tabs = await Promise.all([comes(browser), comes(browser)])
    for (const [times, why] of tabs) {
      expect(why).toBe(AWAY)
      // One of them is made to come again, with the cookie of the other, and once more when the other has a new session.
      expect(times).toBeLessThanOrEqual(4)
    }
  })

  it('where a genid gives the same id each time', async () => {
    const app = await kicking(destroy, { session: { genid: () => 'the-visitor' } })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    expect(await comes(browser)).toEqual([2, AWAY])
  })

  it('with connection state recovery', async () => {
    const app = await kicking(destroy, { io: { connectionStateRecovery: {} } })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    expect(await comes(browser)).toEqual([2, AWAY])
    expect(await comes(app.browser(), { keeps: false })).toEqual([1, AWAY])
  })

  it('by polling', async () => {
    const app = await kicking(destroy)
    const browser = app.browser()
    await browser.get('/set?user=ada')
    expect(await comes(browser, { transports: ['polling'], withCredentials: true })).toEqual([2, AWAY])
  })

  it('with saveUninitialized', async () => {
    const app = await kicking(destroy, { shared: { saveUninitialized: true }, session: { saveUninitialized: true } })
    expect(await comes(app.browser(), { keeps: false })).toEqual([1, AWAY])
  })

  it('by a page that renews its session: it stays away after three renewals', async () => {
    const app = await kicking(destroy, {
      wire: (io, shared) => void shared.attach(io),
      shared: { publish: () => ({}) },
      routes: (http) => void http.post('/session', (req, res, next) => app.shared.renewal()(req, res, next)),
    })
    const browser = new CookieBrowser()
    const renew = vi.fn(() => browser.fetch(`${app.url}/session`, { method: 'POST' }))
    const socket = browser.open(app.url, { autoConnect: false })
    const live = mirror(socket, { renew })
    socket.connect()
    await until(() => live.status === 'ended')
    expect(renew).toHaveBeenCalledTimes(3)
    expect(browser.connections).toBe(3)
    expect(socket.active).toBe(false)
    live.close()
  })

  it('with a maximum age of some ms, although something is written', async () => {
    const app = await kicking((session) => (session.visits = 1), { session: { cookie: { maxAge: 30 } } })
    expect(await comes(app.browser(), { keeps: false })).toEqual([1, AWAY])
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const [times, why] = await comes(browser)
    expect([times <= 2, why]).toEqual([true, AWAY])
  })

  it('with onEnd keep: the socket stays connected', async () => {
    const app = await kicking(destroy, { shared: { onEnd: 'keep' } })
    const client = await app.browser().connect()
    expect(await client.emitWithAck('get')).toEqual({ cookie: expect.anything() })
  })
})

describe('a client still reconnects', () => {
  /** A client that returns at once. */
  const tab = (browser: Browser): Promise<TestClient> =>
    letIn(browser.open({ reconnection: true, reconnectionDelay: 1, randomizationFactor: 0 }))

  it('after a log-out by HTTP, right after its first handshake', async () => {
    const app = await startApp({ wire: (io, shared) => void shared.attach(io) })
    const browser = app.browser()
    const client = browser.open({ reconnection: true, reconnectionDelay: 1 })
    const [lines] = await Promise.all([handshakeCookies(client), letIn(client)])
    browser.cookie = pairOf(lines)
    await client.emitWithAck('set', 'user', 'ada')
    const back = next(client, 'connect')
    await browser.get('/destroy')
    await back
  })

  it('after session.destroy() when it was connected for some time, although no cookie names its session', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const app = await startApp()
    const client = await tab(app.browser())
    vi.setSystemTime(Date.now() + 5000)
    const back = next(client, 'connect')
    await app.shared.destroy(app.sockets[0]!)
    await back
  })

  it('after session.destroy() of a session that its cookie names', async () => {
    const app = await startApp()
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const client = await tab(browser)
    const back = next(client, 'connect')
    await app.shared.destroy(app.sockets[0]!)
    await back
  })

  it('after MemoryStore.clear(), if it had connected a second time with its cookie', async () => {
    const app = await startApp({ store: new expressSession.MemoryStore() })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const client = await tab(browser)
    const back = next(client, 'connect')
    app.store.clear!()
    await back
  })
})
