import type { BrowserContext, Page } from 'playwright-core'
import { afterEach, expect, it } from 'vitest'
import { describeInChromium, useChromium } from '../support/chromium.js'
import { DelayingProxy } from './delaying-proxy.js'
import { closeSites, type Site, startSite } from './site.js'

/** How long the proxy keeps each piece, in each direction, in ms. */
const LATENCY = 40

/** A page that writes by HTTP and connects at its first load, and shows what its socket has. */
const PAGE = `<!doctype html>
<body>
<script src="/socket.io/socket.io.js"></script>
<script>
  const query = new URLSearchParams(location.search)
  const count = Number(query.get('sockets') ?? 1)
  const posted = query.has('post') ? fetch('/add?item=posted' + query.get('post'), { method: 'POST' }) : undefined
  const open = () => io({
    transports: query.get('transports').split(','), forceNew: true, reconnectionDelay: 50, randomizationFactor: 0, closeOnBeforeunload: true,
  })
  let socket
  // As React's StrictMode does it: an effect, its end, and the effect again.
  for (let n = 0; n < count; n++) {
    socket?.disconnect()
    socket = open()
  }
  let connections = 0
  const show = async () => {
    const session = await socket.timeout(2000).emitWithAck('get').catch(() => undefined)
    if (session) document.body.dataset.session = JSON.stringify(session)
  }
  socket.on('connect', () => {
    document.body.dataset.connections = ++connections
    show()
  })
  setInterval(show, 50)
  const add = (item) => socket.timeout(2000).emitWithAck('add', item)
  const get = async () => (await fetch('/session')).json()
  const post = async (path) => (await fetch(path, { method: 'POST' })).json()
</script>`

describeInChromium.each(['websocket', 'polling', 'polling,websocket'])(
  'one session in Chromium, over a slow connection, by %s',
  (transports) => {
    let context: BrowserContext
    let site: Site
    let proxy: DelayingProxy

    afterEach(async () => {
      await proxy?.close()
      await closeSites()
    })
    const newContext = useChromium(15_000)

    async function start(): Promise<void> {
      site = await startSite({ page: PAGE })
      proxy = await DelayingProxy.start(() => site.port, LATENCY)
      context = await newContext()
    }

    async function open(query = ''): Promise<Page> {
      const page = await context.newPage()
      await page.goto(`http://127.0.0.1:${proxy.port}/?transports=${transports}${query}`)
      return page
    }

    const shows = (page: Page, what: string) =>
      page.waitForFunction(`((s) => ${what})(JSON.parse(document.body.dataset.session ?? '{}'))`)
    const connected = (page: Page) => page.waitForFunction('document.body.dataset.connections > 0')

    it.each(['', '&slow'])('row 1: a page that writes by HTTP%s and connects at its first load', async (slow) => {
      await start()
      const page = await open(`&post=${slow}`)
      await connected(page)
      await page.evaluate("add('x').catch(() => add('x'))")
      site.slow.resolve(undefined)
      await page.evaluate('posted')
      const found = await page.evaluate<any>('get()')
      expect(found.http).toEqual(['posted'])
      expect(found.socket).toContain('x')
      await shows(page, "s.http?.includes('posted') && s.socket?.includes('x')")
    })

    it('row 2: three tabs at once, and an effect that runs twice', async () => {
      await start()
      const pages = await Promise.all([open(), open(), open('&sockets=2')])
      await Promise.all(pages.map(connected))
      for (const [number, page] of pages.entries()) await page.evaluate(`add('${number}').catch(() => add('${number}'))`)
      const found = await pages[0]!.evaluate<any>('get()')
      expect([...new Set(found.socket)].sort()).toEqual(['0', '1', '2'])
      for (const page of pages) await shows(page, "['0', '1', '2'].every((item) => s.socket?.includes(item))")
    })

    it('rows 3 and 4: a restart, a login, a logout by destroy() and a login again are in both tabs', async () => {
      await start()
      const [first, second] = [await open('&post='), await open()]
      await shows(second, "s.http?.includes('posted')")
      const { port } = site
      await site.close()
      site = await startSite({ page: PAGE, port })
      await shows(first, '!s.http')
      await first.evaluate("add('x').catch(() => add('x'))")
      for (const page of [first, second]) await shows(page, "s.socket?.includes('x')")
      expect((await first.evaluate<any>('get()')).socket).toContain('x')
      await first.evaluate("post('/login?regenerate')")
      for (const page of [first, second]) await shows(page, "s.user === 'ada'")
      await second.reload()
      await shows(second, "s.user === 'ada'")
      await second.evaluate("post('/destroy')")
      for (const page of [first, second]) await shows(page, '!s.user && !s.socket')
      await first.evaluate("post('/login')")
      for (const page of [first, second]) await shows(page, "s.user === 'ada' && !s.socket")
      for (const page of [first, second]) expect((await page.evaluate<any>('get()')).user).toBe('ada')
    })
  },
)
