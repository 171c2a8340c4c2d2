import type { Socket } from 'socket.io'
import { afterEach, describe, expect, it } from 'vitest'
import { type App, type AppOptions, type Browser, closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { captureDebug, sidOf } from '../support/handshake.js'
import { next } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

interface Case {
  options?: AppOptions
  /** Makes the browser's cookie one that leads to an empty session. */
  cookie(scene: { app: App; browser: Browser; store: ControlledStore; sid: string }): unknown
  says: RegExp
}

/** As a page of that origin sends it. */
const from = (browser: Browser, headers: Record<string, string>) => ({
  extraHeaders: { ...(browser.cookie && { cookie: browser.cookie }), ...headers },
})

const cases: Record<string, Case> = {
  'the signature does not match': {
    cookie: ({ browser }) => {
      browser.cookie += 'x'
    },
    says: /signature does not match: .*another secret, or tampered/,
  },
  'the cookie is not signed': {
    cookie: ({ browser, sid }) => {
      browser.cookie = `connect.sid="${sid}"`
    },
    says: /not signed/,
  },
  'there are cookies, but not the session’s': {
    cookie: ({ browser }) => {
      browser.cookie = `flag; other.sid=${browser.cookie!.split('=')[1]}`
    },
    says: /not the session's \(connect\.sid\).*name option.*path or domain/,
  },
  'the middleware is wrapped and accepts none of the cookies': {
    options: { wrap: (session) => (req, res, done) => void setImmediate(() => session(req, res, done)) },
    cookie: ({ browser }) => {
      browser.cookie += 'x'
    },
    says: /none that the session middleware accepted/,
  },
  'the session was destroyed': {
    cookie: ({ app, sid }) => app.shared.destroy(sid),
    says: /has ended \(destroyed\)/,
  },
  'the session was regenerated': {
    cookie: async ({ browser }) => {
      const { cookie } = browser
      await browser.get('/regenerate')
      browser.cookie = cookie
    },
    says: /has ended \(regenerated\)/,
  },
  'the store does not have the session': {
    cookie: ({ store, sid }) => store.gone(sid),
    says: /genuine, but the store has no such session.*expired.*saveUninitialized.*MemoryStore/,
  },
  'the stored session holds no data': {
    cookie: ({ store, sid }) => store.foreign(sid, {}),
    says: /found, and holds no data/,
  },
}

describe('why a session is empty: explain(socket) and the debug output', () => {
  for (const [name, { options, cookie, says }] of Object.entries(cases)) {
    it(name, async () => {
      const store = new ControlledStore()
      const app = await startApp({ store, session: { secret: 'top secret' }, ...options })
      const browser = app.browser()
      await browser.get('/set?user=ada')
      const sid = sidOf(browser)
      await cookie({ app, browser, store, sid })
      const output = captureDebug()
      const client = await browser.connect({ reconnection: true, reconnectionDelay: 1 })
      output.stop()
      const [socket] = app.sockets
      const said = app.shared.explain(socket!)
      expect(said).toMatch(says)
      expect(output.lines.filter((line) => line.includes('an empty session'))).toEqual([expect.stringContaining(said)])
      const secrets = [sid, 'top secret', (socket!.handshake as any).sessionID, browser.cookie!.split('=').at(-1)!]
      for (const secret of secrets) expect(`${said}${output.lines.join()}`).not.toContain(secret)

      // The reason is of the empty session: filled, it is not empty.
      await client.emitWithAck('set', 'user', 'grace')
      expect(app.shared.explain(socket!)).toBe('The session is not empty.')
    })
  }

  it('no cookie at all: explain() and the debug output say so', async () => {
    const app = await startApp()
    const output = captureDebug()
    await app.browser().connect()
    output.stop()
    const said = app.shared.explain(app.sockets[0]!)
    expect(said).toMatch(/carried no cookie: .*withCredentials.*path or domain/)
    expect(output.lines).toEqual([expect.stringContaining(said)])
  })

  describe('without a session cookie', () => {
    const says = async (options: AppOptions, headers: Record<string, string> = {}, visits = 1): Promise<string> => {
      const app = await startApp(options)
      for (let visit = 0; visit < visits; visit++) await app.browser().connect(from(app.browser(), headers))
      return app.shared.explain(app.sockets.at(-1)!)
    }

    it('a client that was just sent its first cookie', async () => {
      const output = captureDebug()
      expect(await says({ wire: (io, shared) => void shared.attach(io) })).toMatch(/first contact.*cookie left/)
      output.stop()
      expect(output.lines.filter((line) => line.includes('empty session'))).toEqual([])
    })

    for (const [wiring, wire] of [
      ['io.use', undefined],
      ['attach', (io: any, shared: any) => void shared.attach(io)],
    ] as const) {
      it(`a secure cookie behind a proxy without proxy: true, with ${wiring}`, async () => {
        const options: AppOptions = { session: { cookie: { secure: true } }, ...(wire && { wire }) }
        const proxied = { 'x-forwarded-proto': 'https' }
        expect(await says(options, proxied)).toMatch(/secure.*X-Forwarded-Proto says https, so set proxy: true.*'trust proxy'/)
        expect(await says(options)).toMatch(/secure.*without TLS.*use https/)
        const believing = { ...options, session: { ...options.session, proxy: true } }
        expect(await says(believing, proxied)).not.toMatch(/secure, and/)
      })
    }

    it('a page of another host: third-party cookies, withCredentials, sameSite', async () => {
      expect(await says({}, { origin: 'https://shop.example' })).toMatch(/another host.*withCredentials.*sameSite.*third-party/)
      expect(await says({}, { 'sec-fetch-site': 'cross-site' })).toMatch(/third-party/)
      expect(await says({}, { origin: 'http://127.0.0.1:1' })).toMatch(/carried no cookie/)
    })
  })

  it('no HTTP request has used this store, because the application has a second one', async () => {
    const app = await startApp()
    const other = await startApp()
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const stranger = other.browser()
    stranger.cookie = browser.cookie
    // The first of its process that comes with the cookie of a session that is not there is made to come again.
    await stranger.connect({ reconnection: true, reconnectionDelay: 1 })
    expect(other.shared.explain(other.sockets[0]!)).toMatch(/genuine.*no HTTP request has used this store.*same middleware/)
    await other.browser().get('/set?user=grace')
    await stranger.connect({ reconnection: true, reconnectionDelay: 1 })
    expect(other.shared.explain(other.sockets[1]!)).toMatch(/genuine, but the store has no such session: it has expired/)
  })

  it.each([
    ['the store is disconnected', 'STORE_FAILED', {}, (app: App) => void app.store.emit('disconnect'), /store is disconnected/],
    [
      'the cookie’s path does not cover the socket’s',
      'COOKIE_PATH',
      { cookie: { path: '/shop' } },
      () => {},
      /cookie's path \(\/shop\) does not cover/,
    ],
  ])('%s: the socket is refused, and explained all the same', async (_name, code, session, happen, says) => {
    expectWarning(code)
    const seen: Socket[] = []
    const app = await startApp({
      session,
      wire(io, shared) {
        io.use((socket, done) => {
          seen.push(socket)
          done()
        })
        io.use(shared)
      },
    })
    happen(app)
    const client = app.browser().open()
    const refusal = await Promise.race([next<Error>(client, 'connect_error'), next<string>(client, 'disconnect')])
    expect(app.shared.explain(seen[0]!)).toMatch(says)
    if (refusal instanceof Error) expect(app.shared.explain(seen[0]!)).toBe(refusal.message)
  })

  it('a session with data: no debug output', async () => {
    const app = await startApp()
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const output = captureDebug()
    await browser.connect()
    output.stop()
    expect(app.shared.explain(app.sockets[0]!)).toBe('The session is not empty.')
    expect(output.lines).toEqual([])
  })

  it('a socket without a session: NO_SESSION', async () => {
    const app = await startApp({ wire: () => {} })
    await app.browser().connect()
    expect(() => app.shared.explain(app.sockets[0]!)).toThrow(expect.objectContaining({ code: 'NO_SESSION' }))
  })
})
