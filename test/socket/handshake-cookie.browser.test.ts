import type { BrowserContext, Page } from 'playwright-core'
import { afterEach, expect, it } from 'vitest'
import { type App, closeApps, startApp } from '../support/app.js'
import { describeInChromium, useChromium } from '../support/chromium.js'
import { ControlledStore } from '../support/controlled-store.js'

/** Says who the socket is, each time that it has connected. */
const PAGE = `<!doctype html>
<body>
<script src="/socket.io/socket.io.js"></script>
<script>
  const transports = new URLSearchParams(location.search).get('transports').split(',')
  const socket = io({ transports, reconnectionDelay: 1, randomizationFactor: 0 })
  socket.on('connect', async () => {
    const { user } = await socket.emitWithAck('get')
    document.body.dataset.user = user ?? 'nobody'
    document.body.dataset.recovered = socket.recovered
  })
  const ask = async (path) => (await fetch(path)).json()
</script>`

describeInChromium.each(['websocket', 'polling', 'polling,websocket'])(
  'a page in Chromium whose first contact is a socket, by %s',
  (transports) => {
    let context: BrowserContext
    let app: App
    let store: ControlledStore

    afterEach(closeApps)
    const newContext = useChromium()

    async function open(): Promise<Page> {
      store = new ControlledStore()
      app = await startApp({
        store,
        io: { transports: ['polling', 'websocket'], connectionStateRecovery: {} },
        wire: (io, shared) => void shared.attach(io),
        // Without a session: the page sets no cookie.
        before: (http) => http.get('/', (_req, res) => void res.send(PAGE)),
        routes(http) {
          http.get('/login', (req, res) => {
            req.session.regenerate(() => {
              req.session.user = 'ada'
              res.json({})
            })
          })
        },
      })
      context = await newContext()
      const page = await context.newPage()
      await page.goto(`${app.url}/?transports=${transports}`)
      await page.waitForFunction('document.body.dataset.user')
      return page
    }

    const sid = () => (app.sockets.at(-1)!.handshake as any).sessionID

    it('has its cookie from the handshake: its next HTTP request reads what its socket wrote', async () => {
      const page = await open()
      expect(await context.cookies()).toMatchObject([{ name: expect.stringMatching(/^connect\.sid\.socket\./), httpOnly: true }])
      expect(store.ids()).toEqual([])
      await page.evaluate("socket.emitWithAck('set', 'cart', ['apple'])")
      expect(await page.evaluate("ask('/session')")).toMatchObject({ cart: ['apple'] })
      expect(store.ids()).toEqual([sid()])
      expect(await context.cookies()).toHaveLength(1)
    })

    it('logs in by HTTP: the socket reconnects as the user', async () => {
      const page = await open()
      await page.evaluate("ask('/login')")
      await page.waitForFunction("document.body.dataset.user === 'ada'")
      expect(await page.evaluate("ask('/session')")).toMatchObject({ user: 'ada' })
    })

    it('is recovered after its transport was lost', async () => {
      const page = await open()
      await page.evaluate("socket.emitWithAck('set', 'user', 'grace')")
      // Something to have an offset from.
      const before = sid()
      app.io.emit('news')
      await page.evaluate("socket.emitWithAck('get')")
      app.sockets[0]!.conn.close()
      await page.waitForFunction("document.body.dataset.recovered === 'true'")
      expect(await page.evaluate('document.body.dataset.user')).toBe('grace')
      expect(sid()).toBe(before)
    })
  },
)
