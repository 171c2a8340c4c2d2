import { type EventEmitter, once } from 'node:events'
import expressSession from 'express-session'
import type { BrowserContext, Page } from 'playwright-core'
import { createElement } from 'react'
import { renderToString } from 'react-dom/server'
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { describeInChromium, useChromium } from '../support/chromium.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { bundle } from './page.js'
import { type Shop, startShop } from './shop.js'

/** A page that notes each state and each status, and counts what it asked the server for. */
const PLAIN = `
  import { mirror } from 'sharedsession/client'
  import { io } from 'socket.io-client'
  const renew = async () => {
    globalThis.renewals++
    const response = await fetch('/session', { method: 'POST' })
    if (!response.ok) throw new Error('no session')
  }
  Object.assign(globalThis, { states: [], statuses: [], renewals: 0, connections: 0 })
  globalThis.socket = io({ transports: ['websocket'] })
  socket.on('connect', () => globalThis.connections++)
  globalThis.live = mirror(socket, { renew })
  live.listen((state) => states.push(state ?? null))
  live.statuses.subscribe((status) => statuses.push(status))
  globalThis.post = (path) => fetch(path, { method: 'POST' })
`

/** A component that is rendered on the server, and goes on in the page. */
const HYDRATED = `
  import { mirror } from 'sharedsession/client'
  import { useSession } from 'sharedsession/react'
  import { io } from 'socket.io-client'
  import { StrictMode, useEffect } from 'react'
  import { hydrateRoot } from 'react-dom/client'
  Object.assign(globalThis, { rendered: [], frames: [] })
  const socket = io({ transports: ['websocket'], autoConnect: false })
  socket.on('session:mirror', (frame) => frames.push(frame))
  globalThis.live = mirror(socket, { initial: window.published })
  globalThis.socket = socket
  function Items() {
    const items = useSession(live, (session) => session.items)
    const text = items?.join(', ')
    useEffect(() => void rendered.push(text), [text])
    return <p id="items">{text}</p>
  }
  hydrateRoot(document.getElementById('root'), <StrictMode><Items /></StrictMode>)
`

describeInChromium('a mirror in Chromium', () => {
  let plain: string
  let hydrated: string
  let shop: Shop
  let proxy: TcpProxy
  let store: expressSession.MemoryStore
  let context: BrowserContext
  let complaints: string[]

  beforeAll(async () => {
    plain = await bundle(PLAIN)
    hydrated = await bundle(HYDRATED, false)
  })

  const start = (port = 0): Promise<Shop> =>
    startShop({
      ...{ store, port },
      routes(app, shared) {
        const html = (code: string) => `<!doctype html><title>page</title><link rel="icon" href="data:," />${code}`
        app.get('/', (_req, res) => void res.send(html('<script type="module" src="/plain.js"></script>')))
        app.get('/plain.js', (_req, res) => void res.type('js').send(plain))
        app.get('/hydrated.js', (_req, res) => void res.type('js').send(hydrated))
        app.get('/hydrated', (req, res) => {
          const published = shared.published(req)
          const text = (published.state as { items: string[] }).items.join(', ')
          const markup = renderToString(createElement('p', { id: 'items' }, text))
          res.send(
            html(`<div id="root">${markup}</div><script>window.published = ${JSON.stringify(published)}</script>
              <script type="module" src="/hydrated.js"></script>`),
          )
        })
      },
    })

  beforeEach(async () => {
    store = new expressSession.MemoryStore()
    shop = await start()
    proxy = await TcpProxy.start(shop.port)
    context = await newContext()
    complaints = []
  })
  afterEach(async () => {
    await proxy.stop()
    await shop.close()
  })
  const newContext = useChromium(15_000)

  async function open(path = '/'): Promise<Page> {
    const page = await context.newPage()
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('console', (message) => {
      const own = /^(WebSocket connection|Failed to load resource)/.test(message.text())
      if (['error', 'warning'].includes(message.type()) && !own) complaints.push(message.text())
    })
    await page.goto(`http://127.0.0.1:${proxy.port}${path}`)
    return page
  }

  /** Waits until a page holds a state of now for which that expression is true. */
  const shows = (page: Page, what: string) => page.waitForFunction(`live.status === 'live' && ((s) => ${what})(live.get())`)

  const users = async (page: Page) => (await page.evaluate<any[]>('states')).map((state) => state && (state.user ?? 'guest'))

  async function loggedIn(): Promise<[Page, Page]> {
    const pages = [await open(), await open()] as [Page, Page]
    for (const page of pages) await shows(page, 's')
    await pages[0].evaluate(`post('/login?user=ada')`)
    for (const page of pages) {
      await shows(page, `s.user === 'ada'`)
      await page.evaluate('states.length = statuses.length = 0')
    }
    return pages
  }

  it('two tabs at the first visit renew one after the other, and both have one session', async () => {
    const pages = await Promise.all([open(), open()])
    for (const page of pages) await shows(page, 's')
    // Where the server closes a tab's connection for the other tab's session while it renews, it asks once more.
    for (const page of pages) expect(await page.evaluate('renewals')).toBeLessThanOrEqual(2)
    await pages[0]!.evaluate(`socket.emitWithAck('add', 'milk')`)
    for (const page of pages) await shows(page, `s.items[0] === 'milk'`)
    expect(await context.cookies()).toHaveLength(1)
    expect(Object.keys((store as unknown as { sessions: object }).sessions)).toHaveLength(1)
    expect(complaints).toEqual([])
  })

  it('a login in one tab: both go through one gap to the new state, without a wait for the default delay', async () => {
    const [one, two] = await loggedIn()
    await one.evaluate(`
      globalThis.delays = []
      socket.io.on('reconnect_attempt', () => delays.push(socket.io.reconnectionDelay()))
      post('/login?user=grace')
    `)
    for (const page of [one, two]) {
      await shows(page, `s.user === 'grace'`)
      expect(await users(page)).toEqual([null, 'grace'])
      expect(await page.evaluate('statuses')).toEqual(['switching', 'live'])
      if (page === one) expect(await page.evaluate('delays')).toEqual([0])
      // Later gaps wait as the application says.
      expect(await page.evaluate('socket.io.reconnectionDelay()')).toBe(1000)
    }
    expect(complaints).toEqual([])
  })

  it('a tab that does not hear the server hears of a logout from another tab, and drops the state at once', async () => {
    const [one, two] = await loggedIn()
    await two.evaluate('Object.assign(socket.io.engine.transport.ws, { onmessage: null, onclose: null }), undefined')
    await one.evaluate(`post('/logout')`)
    await two.waitForFunction('states.length > 0')
    expect(await two.evaluate('states')).toEqual([null])
    expect(await two.evaluate('live.status')).toBe('switching')
    await shows(one, '!s.user')
    expect(complaints).toEqual([])
  })

  it('a tab does not care about the end of another session', async () => {
    const [one] = await loggedIn()
    // A message comes to the channels of a page in the order in which they were made.
    await one.evaluate(`new Promise((resolve) => {
      const [last, other] = [1, 2].map(() => new BroadcastChannel('session:mirror'))
      last.onmessage = resolve
      other.postMessage('session00002')
    }).then(() => undefined)`)
    await one.evaluate(`socket.emitWithAck('add', 'milk')`)
    expect(await users(one)).toEqual(['ada'])
    expect(await one.evaluate('statuses')).toEqual([])
  })

  it('a tab that sleeps during a logout and a login drops the old state when it wakes, before it shows anything else', async () => {
    const [one, two] = await loggedIn()
    // As if it slept: no code of it runs. (`Page.setWebLifecycleState` lets a page with a WebSocket run.)
    const devtools = await context.newCDPSession(two)
    await devtools.send('Debugger.enable')
    const asleep = once(devtools as unknown as EventEmitter, 'Debugger.paused')
    await devtools.send('Debugger.pause')
    void devtools.send('Runtime.evaluate', { expression: '0' })
    await asleep
    await one.evaluate(`post('/logout')`)
    await shows(one, '!s.user')
    await one.evaluate(`post('/login?user=grace')`)
    await shows(one, `s.user === 'grace'`)
    await devtools.send('Debugger.resume')
    await shows(two, `s.user === 'grace'`)
    expect(await users(two)).toEqual([null, 'grace'])
    expect(complaints).toEqual([])
  })

  it('a tab whose connection was cut during the logout comes back without the old state', async () => {
    const [one, two] = await loggedIn()
    proxy.down()
    for (const page of [one, two]) await page.waitForFunction(`live.status === 'stale'`)
    expect(await one.evaluate('live.get().user')).toBe('ada')
    const [cookie] = await context.cookies()
    await fetch(`${shop.url}/logout`, { method: 'POST', headers: { cookie: `${cookie!.name}=${cookie!.value}` } })
    proxy.up()
    for (const page of [one, two]) {
      await shows(page, '!s.user')
      expect((await users(page)).filter(Boolean)).toEqual(['guest'])
    }
    await one.evaluate(`socket.emitWithAck('add', 'milk')`)
    await shows(two, `s.items[0] === 'milk'`)
    expect(complaints).toEqual([])
  })

  it('a restart that forgets all sessions: both tabs renew, one after the other, and meet', async () => {
    const [one, two] = await loggedIn()
    await shop.close()
    store = new expressSession.MemoryStore()
    shop = await start(shop.port)
    for (const page of [one, two]) {
      await shows(page, '!s.user')
      expect((await users(page)).filter(Boolean)).toEqual(['guest'])
    }
    await one.evaluate(`socket.emitWithAck('add', 'milk')`)
    await shows(two, `s.items[0] === 'milk'`)
    expect(Object.keys((store as unknown as { sessions: object }).sessions)).toHaveLength(1)
    expect(complaints).toEqual([])
  })

  it('a page rendered on the server: hydration matches, and no state is sent if nothing has changed since', async () => {
    await context.request.post(`http://127.0.0.1:${proxy.port}/session`)
    const page = await open('/hydrated')
    await page.waitForFunction('rendered.length > 0')
    await page.evaluate('socket.connect(), undefined')
    await page.waitForFunction(`live.status === 'live'`)
    expect(await page.evaluate<object[]>('frames')).toMatchObject([{ t: expect.any(String) }])
    expect(await page.evaluate('frames.some((frame) => "s" in frame || "p" in frame)')).toBe(false)
    // StrictMode runs each effect of the first render twice.
    expect(await page.evaluate('rendered')).toEqual(['', ''])
    expect(complaints).toEqual([])
  })

  it('a page rendered on the server, and a change before it connects: the first render is what was embedded, then one update', async () => {
    await context.request.post(`http://127.0.0.1:${proxy.port}/session`)
    const page = await open('/hydrated')
    await page.waitForFunction('rendered.length > 0')
    const other = await open()
    await shows(other, 's')
    await other.evaluate(`socket.emitWithAck('add', 'milk')`)
    await page.evaluate('socket.connect(), undefined')
    await page.waitForSelector('#items:text-is("milk")')
    expect(await page.evaluate('rendered')).toEqual(['', '', 'milk'])
    expect(complaints).toEqual([])
  })
})
