import type { BrowserContext, Page } from 'playwright-core'
import { afterEach, describe, expect, it } from 'vitest'
import { type App, closeApps, startApp } from '../support/app.js'
import { describeInChromium, useChromium } from '../support/chromium.js'
import { until } from '../support/wait.js'

/** Says who the socket is, each time that it has connected. */
const PAGE = `<!doctype html>
<body>
<script src="/socket.io/socket.io.js"></script>
<script>
  const transports = new URLSearchParams(location.search).get('transports')
  const socket = io({ reconnectionDelay: 1, randomizationFactor: 0, ...(transports && { transports: transports.split(',') }) })
  socket.on('connect', async () => {
    const { user } = await socket.emitWithAck('get')
    document.body.dataset.user = user ?? 'nobody'
  })
  const ask = async (path) => (await fetch(path)).json()
</script>`

describeInChromium('a page in Chromium', () => {
  let context: BrowserContext
  let app: App

  afterEach(closeApps)
  const newContext = useChromium()

  async function open(transports?: string): Promise<Page> {
    app = await startApp({
      io: { transports: ['polling', 'websocket'] },
      routes(http) {
        http.get('/', (req, res) => {
          req.session.visited = true
          res.send(PAGE)
        })
        http.get('/login', (req, res) => {
          req.session.regenerate(() => {
            req.session.user = 'ada'
            res.json({})
          })
        })
        http.get('/logout', (req, res) => {
          req.session.regenerate(() => res.json({}))
        })
      },
    })
    context = await newContext()
    return tab(transports)
  }

  async function tab(transports?: string): Promise<Page> {
    const page = await context.newPage()
    await page.goto(`${app.url}/${transports ? `?transports=${transports}` : ''}`)
    await page.waitForFunction('document.body.dataset.user')
    return page
  }

  const who = (page: Page, user: string) => page.waitForFunction(`document.body.dataset.user === "${user}"`)
  const cookie = async () => (await context.cookies())[0]
  const sid = async () =>
    decodeURIComponent((await cookie())!.value)
      .slice(2)
      .split('.')[0]!
  const connected = () => app.sockets.filter((socket) => socket.connected)
  const sids = () => connected().map(({ handshake }) => (handshake as any).sessionID)

  for (const transports of ['websocket', 'polling', undefined]) {
    describe(transports ? `by ${transports}` : 'by the default transports', () => {
      it('logs in by HTTP: its sockets reconnect as the user, and it stays logged in', async () => {
        const one = await open(transports)
        const two = await tab(transports)
        const before = await sid()
        expect(await cookie()).toMatchObject({ httpOnly: true })
        expect(await one.evaluate('document.cookie')).toBe('')
        await until(() => sids().length === 2)
        expect(sids()).toEqual([before, before])
        await one.evaluate('ask("/login")')
        await Promise.all([who(one, 'ada'), who(two, 'ada')])
        expect(await sid()).not.toBe(before)
        expect(sids()).toEqual([await sid(), await sid()])
        // What came back has neither overwritten the cookie nor the session.
        expect(await two.evaluate('ask("/session")')).toMatchObject({ user: 'ada' })
        await two.reload()
        await who(two, 'ada')
      })

      for (const [how, path] of [
        ['destroys the session', '/destroy'],
        ['regenerates it, as Passport does', '/logout'],
      ]) {
        it(`logs out by a request that ${how}: its sockets reconnect without a user`, async () => {
          const one = await open(transports)
          const two = await tab(transports)
          await one.evaluate('ask("/login")')
          await Promise.all([who(one, 'ada'), who(two, 'ada')])
          const ended = await sid()
          await one.evaluate(`ask("${path}")`)
          await Promise.all([who(one, 'nobody'), who(two, 'nobody')])
          expect(sids()).not.toContain(ended)
          expect(await two.evaluate('ask("/session")')).not.toHaveProperty('user')
        })
      }
    })
  }

  it('reconnects as the user every time, however fast it is', async () => {
    const page = await open('websocket')
    for (let time = 0; time < 40; time++) {
      await page.evaluate('document.body.dataset.user = ""')
      await page.evaluate('ask("/login")')
      await page.waitForFunction('document.body.dataset.user')
      expect(await page.evaluate('document.body.dataset.user'), String(time)).toBe('ada')
      expect(sids()).toEqual([await sid()])
    }
  })
})
