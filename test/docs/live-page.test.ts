import assert from 'node:assert/strict'
import expressSession from 'express-session'
import { io as connect } from 'socket.io-client'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { mirror } from '../../src/client/index.js'
import { conformance, fakeSocket } from '../../src/client/testing/index.js'
import sharedsession from '../../src/index.js'
import { CookieBrowser, closePages } from '../support/browser.js'
import { next, until } from '../support/wait.js'
import { vitest } from './program.js'
import { cookieOf, listen, surroundings, tidy } from './scene.js'
import { run, snippet } from './snippets.js'

describe('the session in the page', () => {
  afterEach(tidy)

  it('a page rendered on the server has the state and its tag, and its mirror starts with both', async () => {
    const around = surroundings()
    const { app, io, store, secret } = around
    const session = expressSession({ secret, store, resave: false, saveUninitialized: false })
    const shared = sharedsession(session, { publish: ['user', 'cart'] })
    app.use(session)
    app.post('/user', (req, res) => {
      Object.assign(req.session, { user: { name: '</script><script>alert(1)</script>' }, theme: 'dark' })
      res.end()
    })
    shared.attach(io)
    await run('published', { app, shared })
    const url = await listen(around, shared)
    const cookie = cookieOf(await fetch(`${url}/user`, { method: 'POST' }))!
    const html = await (await fetch(`${url}/cart`, { headers: { cookie } })).text()
    const [, json] = html.match(/window\.published = (.*)<\/script>/)!
    const published = JSON.parse(json!)
    expect(published).toEqual({ state: { user: { name: '</script><script>alert(1)</script>' } }, tag: expect.any(String) })
    const socket = connect(url, { autoConnect: false, extraHeaders: { cookie } })
    const frames: object[] = []
    socket.on('session:mirror', (frame) => frames.push(frame))
    const { live } = await run('initial', { mirror, io: () => socket, window: { published } }, 'live')
    expect(live.get()).toEqual(published.state)
    socket.connect()
    await expect.poll(() => live.status).toBe('live')
    expect(frames).toEqual([{ t: published.tag, n: expect.any(String) }])
    socket.disconnect()
  })

  /** A server with handlers that change the session, and a browser that has logged in as Ada. */
  async function loggedIn() {
    const around = surroundings()
    const { app, io, store, secret } = around
    const session = expressSession({ secret, store, resave: false, saveUninitialized: false })
    const shared = sharedsession(session, {
      autoSave: true,
      publish: ({ user, theme, count }) => ({ user: user?.name, theme, count }),
    })
    app.use(session)
    app.post('/login/:name', (req, res, next) => {
      req.session.regenerate((error) => {
        if (error) return next(error)
        req.session.user = { name: req.params.name }
        res.end()
      })
    })
    shared.attach(io)
    io.on('connection', (socket) => {
      socket.on('count', (ack) => {
        shared.session(socket).count = 1
        ack?.()
      })
    })
    const url = await listen(around, shared)
    const open = async (browser: CookieBrowser) => {
      const socket = browser.open(url, { reconnection: false, transports: ['websocket'] })
      const live = mirror<{ user?: string; theme?: string; count?: number }>(socket)
      await live.ready
      return { socket, live }
    }
    const browser = new CookieBrowser()
    const login = (name: string) => browser.fetch(`${url}/login/${name}`, { method: 'POST' })
    await login('Ada')
    return { io, shared, open, login, ...(await open(browser)) }
  }

  it('an event sent offline runs in the session of the next login; a handler that compares the user refuses it', async () => {
    const { io, shared, socket, live, login, open } = await loggedIn()
    await run('same-user', { io, shared })
    const theme = (page: Awaited<ReturnType<typeof open>>, name: string) =>
      page.socket.emitWithAck('theme', name, page.live.get()?.user ?? null)
    const guest = await open(new CookieBrowser())
    expect(await theme(guest, 'light')).toEqual({})
    socket.disconnect().connect()
    await until(() => live.status === 'live')
    expect(await theme({ socket, live }, 'light')).toEqual({})
    const statuses: unknown[] = []
    live.statuses.listen((status) => statuses.push(status))
    socket.io.engine.close()
    await until(() => !socket.connected)
    const answers = [theme({ socket, live }, 'dark'), socket.emitWithAck('count')]
    await login('Eve')
    socket.connect()
    expect(await Promise.all(answers)).toEqual([{ error: 'You are logged in as somebody else.' }, undefined])
    expect(await live.until(({ count }) => count === 1)).toEqual({ user: 'Eve', count: 1 })
    expect(statuses).toEqual(['stale', 'live'])
    guest.live.close()
    live.close()
    closePages()
  })

  it('an event sent offline as a volatile one is kept too, and leaves before the page hears of its connection', async () => {
    const { socket, live, login } = await loggedIn()
    socket.on('connect', () => {
      socket.sendBuffer = []
    })
    // A transport that is busy when it closes stays busy, and the event is dropped.
    await until(() => socket.io.engine.transport.writable)
    socket.io.engine.close()
    await until(() => !socket.connected)
    socket.volatile.emit('count')
    await login('Eve')
    socket.connect()
    expect(await live.until(({ count }) => count === 1)).toEqual({ user: 'Eve', count: 1 })
    live.close()
    closePages()
  })

  it('nothing is sent while the page is offline, nor what the client keeps after a sleep', async () => {
    const { socket, live, login } = await loggedIn()
    const { send } = await run('only-online', { socket }, 'send')
    await send('count')
    await live.until(({ count }) => count === 1)
    const gone = next(socket, 'disconnect')
    vi.useFakeTimers({ toFake: ['Date'] })
    // No code ran for so long: the client finds that it has missed pings, and keeps what it is to send.
    vi.setSystemTime(Date.now() + 3_600_000)
    expect(socket.connected).toBe(true)
    const sent = send('count').catch((error: Error) => error.message)
    expect(socket.sendBuffer).toHaveLength(1)
    vi.useRealTimers()
    expect(await gone).toBe('ping timeout')
    expect(await sent).toBe('socket has been disconnected')
    await expect(send('count')).rejects.toThrow('You are offline.')
    await login('Eve')
    socket.connect()
    expect(await live.until(({ user }) => user === 'Eve')).toEqual({ user: 'Eve' })
    // What had been kept would have left before.
    expect(await socket.emitWithAck('count')).toBe(undefined)
    await live.until(({ count }) => count === 1)
    live.close()
    closePages()
  })

  it('a test of a page runs without a server', async () => {
    const ran: string[] = []
    const test = (name: string, check: () => void): void => {
      check()
      ran.push(name)
    }
    await run('testing', { assert, test, mirror, fakeSocket })
    expect(ran).toHaveLength(1)
  })

  it('testing with Vitest: components get a mirror on a fake socket', async () => {
    const tests = vitest({ 'live.ts': snippet('live-page#live.ts'), 'live.test.ts': snippet('live.test.ts') })
    expect({ code: await tests.ended, output: tests.output }).toMatchObject({
      code: 0,
      output: expect.stringMatching(/1 passed/),
    })
  })

  it('the conformance suite runs with any test runner', async () => {
    const cases: [string, () => unknown][] = []
    await run('conformance', { test: (...one: [string, () => unknown]) => cases.push(one), mirror, conformance })
    expect(cases.length).toBeGreaterThan(10)
    for (const [, check] of cases) await check()
  })
})
