import { afterEach, describe, expect, it } from 'vitest'
import { guess, mirror } from '../../src/client/index.js'
import { type App, type AppOptions, closeApps, startApp } from '../support/app.js'
import { CookieBrowser, closePages } from '../support/browser.js'
import { letIn } from '../support/handshake.js'
import { turns } from '../support/live.js'
import { deferred, next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'
import { CLIENTS, stopServers, untilTheEnd } from './support.js'

const mirrors: { close(): void }[] = []

afterEach(async () => {
  for (const live of mirrors.splice(0)) live.close()
  closePages()
  await stopServers()
  await closeApps()
})

interface Published {
  user?: string
  items: string[]
}

const options: AppOptions = {
  shared: { publish: ({ user, items = [] }: any) => ({ user, items }) },
  routes(http) {
    http.get('/login', (req, res) =>
      req.session.regenerate(() => {
        req.session.user = 'bob'
        res.json({})
      }),
    )
    http.post('/session', (req, res, after) => current.shared.renewal()(req, res, after))
  },
  connection(socket, app) {
    socket.on('add', (item: string, ack?: (answer: unknown) => void) => {
      const session = app.shared.session(socket) as any
      session.items = [...(session.items ?? []), item]
      ack?.({ ok: true })
    })
  },
}
let current: App

async function page(browser = new CookieBrowser(), renews = false) {
  const socket = browser.open(current.url, { autoConnect: false, reconnectionDelay: 600_000, reconnectionDelayMax: 600_000 })
  const live = mirror<Published>(socket, {
    renew: renews ? () => browser.fetch(`${current.url}/session`, { method: 'POST' }) : undefined,
  })
  mirrors.push(live)
  socket.connect()
  await live.ready
  const seen: unknown[] = []
  live.listen((state) => seen.push(state && [state.user ?? 'nobody', ...state.items].join()))
  return { browser, socket, live, seen }
}

async function visitor(): Promise<CookieBrowser> {
  const browser = new CookieBrowser()
  await browser.fetch(`${current.url}/set?user=ada`)
  return browser
}

describe('the mirror of a real session', () => {
  it('follows its own socket, other tabs, and requests', async () => {
    current = await startApp(options)
    const browser = await visitor()
    const [one, two] = [await page(browser), await page(browser)]
    expect(one.live.get()).toEqual({ user: 'ada', items: [] })
    await one.socket.emitWithAck('add', 'tea')
    // The state comes before the ack.
    expect(one.live.get()!.items).toEqual(['tea'])
    await two.live.until(({ items }) => items.length === 1)
    await browser.fetch(`${current.url}/set?user=eve`)
    for (const { live } of [one, two]) await live.until(({ user }) => user === 'eve')
    expect(two.seen).toEqual(['ada,tea', 'eve,tea'])
  })

  it('replaces a guess without a flicker', async () => {
    current = await startApp(options)
    const { socket, live, seen } = await page(await visitor())
    const add = (item: string) =>
      guess(live, ({ items }) => void (items.includes(item) || items.push(item)), socket.emitWithAck('add', item))
    const writes = [add('tea'), add('milk')]
    expect(live.get()!.items).toEqual(['tea', 'milk'])
    await Promise.all(writes)
    expect(live.get()!.items).toEqual(['tea', 'milk'])
    expect(seen).toEqual(['ada,tea', 'ada,tea,milk'])
  })

  it('shows a guess once, in whatever order its keys are, and a state once that another mirror of the socket has sent', async () => {
    current = await startApp(options)
    const { socket, live, seen } = await page(await visitor())
    const item = { name: 'tea', count: 1 }
    const add = ({ items }: Published) => void (items.length || items.push(item as never))
    await guess(live, add, socket.emitWithAck('add', item))
    const shown = live.get()
    const second = mirror<Published>(socket)
    mirrors.push(second)
    expect(await second.ready).toEqual({ user: 'ada', items: [item] })
    expect(live.get()).toBe(shown)
    expect(seen).toHaveLength(1)
  })

  it('switches to the session of a login at once, and shows nothing of the one before', async () => {
    current = await startApp(options)
    const browser = await visitor()
    const tabs = [await page(browser), await page(browser)]
    await browser.fetch(`${current.url}/login`)
    for (const { live, seen } of tabs) {
      await live.until(({ user }) => user === 'bob')
      expect(seen).toEqual([undefined, 'bob'])
    }
  })

  it('keeps its state over a short gap, and is sent what it missed', async () => {
    current = await startApp(options)
    const browser = await visitor()
    const { socket, live, seen } = await page(browser)
    const { user } = live.get()!
    const gone = next(socket, 'disconnect')
    socket.io.engine.close()
    await gone
    expect([live.status, live.get()]).toEqual(['stale', { user, items: [] }])
    await browser.fetch(`${current.url}/set?user=eve`)
    socket.disconnect().connect()
    await until(() => live.status === 'live')
    expect(seen).toEqual(['eve'])
  })

  it('shows nothing of a session that ended while it was offline, where guests are refused', async () => {
    current = await startApp({
      ...options,
      wire: (io, shared) => {
        shared.attach(io)
        io.use((socket, next) =>
          next((shared.session(socket) as any).user ? undefined : Object.assign(new Error('log in'), { data: {} })),
        )
      },
    })
    const browser = await visitor()
    const { socket, live, seen } = await page(browser)
    const gone = next(socket, 'disconnect')
    socket.io.engine.close()
    await gone
    await browser.fetch(`${current.url}/destroy`)
    const refused = next(socket, 'connect_error')
    socket.disconnect().connect()
    expect(await refused).toMatchObject({ message: 'log in' })
    expect([live.status, live.get()]).toEqual(['ended', undefined])
    expect(seen).toEqual([undefined])
  })

  it('connects a first visitor with a stored session of its own', async () => {
    current = await startApp(options)
    const browser = new CookieBrowser()
    const one = await page(browser, true)
    const two = await page(browser, true)
    expect(new Set(current.sockets.map(({ handshake }) => handshake.sessionID)).size).toBe(1)
    await one.socket.emitWithAck('add', 'tea')
    await two.live.until(({ items }) => items.length === 1)
  })

  it('leaves its socket connected where it is closed while the session is renewed, and alone after that', async () => {
    current = await startApp(options)
    const socket = new CookieBrowser().open(current.url, { autoConnect: false })
    const asked = deferred()
    const answer = deferred()
    const live = mirror<Published>(socket, {
      renew() {
        asked.resolve()
        return answer.promise
      },
    })
    socket.connect()
    await asked.promise
    live.close()
    await letIn(socket)
    expect(await socket.emitWithAck('add', 'tea')).toEqual({ ok: true })
    socket.disconnect()
    answer.resolve()
    await turns()
    expect(socket.active).toBe(false)
  })

  it('says that nothing is published', async () => {
    expectWarning('has no option publish')
    current = await startApp()
    const browser = await visitor()
    const socket = browser.open(current.url, { autoConnect: false })
    const live = mirror<Published>(socket)
    mirrors.push(live)
    socket.connect()
    await expect(live.ready).rejects.toMatchObject({ code: 'NOT_PUBLISHED' })
    expect(live.status).toBe('stale')
  })
})

describe.each(CLIENTS)('%s', (_name, connect) => {
  it('mirrors a session, and follows its end', async () => {
    current = await startApp(options)
    const browser = await visitor()
    const socket = untilTheEnd(connect(current.url, { forceNew: true, extraHeaders: { cookie: browser.cookie! } }))
    const live = mirror<Published>(socket)
    mirrors.push(live)
    expect(await live.ready).toEqual({ user: 'ada', items: [] })
    socket.emit('add', 'tea')
    await live.until(({ items }) => items.length === 1)
    await browser.fetch(`${current.url}/destroy`)
    await until(() => live.get() === undefined)
  })
})
