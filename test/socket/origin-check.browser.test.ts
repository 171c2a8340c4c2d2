import type { Page } from 'playwright-core'
import { afterEach, expect, it } from 'vitest'
import { type App, closeApps, startApp } from '../support/app.js'
import { describeInChromium, useChromium } from '../support/chromium.js'
import { expectWarning } from '../support/warnings.js'

/** What a page can do without being asked by CORS: a WebSocket, script elements, a form. Each resolves to all that it is told. */
const ATTACKS = `
  const query = '/socket.io/?EIO=4&transport='
  function byWebSocket(host) {
    return new Promise((resolve) => {
      const socket = new WebSocket('ws://' + host + query + 'websocket')
      socket.onmessage = ({ data }) => (data.startsWith('0') ? socket.send('40') : resolve(data))
    })
  }
  let answer
  window.___eio = [(data) => answer(data)]
  const byScript = (src) =>
    new Promise((resolve) => {
      answer = resolve
      document.head.append(Object.assign(document.createElement('script'), { src, referrerPolicy: window.policy ?? '' }))
    })
  async function byScripts(host) {
    const url = 'http://' + host + query + 'polling&j=0'
    const { sid } = JSON.parse((await byScript(url)).slice(1))
    const body = new URLSearchParams({ d: '40' })
    await fetch(url + '&sid=' + sid, { method: 'POST', mode: 'no-cors', credentials: 'include', body })
    return byScript(url + '&sid=' + sid)
  }`

describeInChromium('pages in Chromium, and the cookie of another host', () => {
  let app: App
  let host: string

  afterEach(closeApps)
  const newContext = useChromium()

  /** A page of that host, in a browser that has the session cookie of `shop.example.localhost`. All of them are this machine. */
  async function pageOf(name: string): Promise<Page> {
    app = await startApp({
      routes: (http) => http.get('/page', (_req, res) => void res.send(`<!doctype html><script>${ATTACKS}</script>`)),
    })
    const { port } = new URL(app.url)
    host = `shop.example.localhost:${port}`
    const page = await (await newContext()).newPage()
    await page.goto(`http://${host}/set?user=ada`)
    await page.goto(`http://${name}.example.localhost:${port}/page`)
    return page
  }

  for (const attack of ['byWebSocket', 'byScripts']) {
    it(`${attack}: a page of another host of the same site is refused, although the cookie comes along`, async () => {
      expectWarning('is not allowed to use its sessions')
      const page = await pageOf('blog')
      expect(await page.evaluate(`${attack}("${host}")`)).toMatch(/^44.*blog\.example\.localhost.*shop\.example\.localhost/)
      expect(app.sockets).toEqual([])
    })
  }

  it('byScripts: a page of another host is refused although it hides its Referer', async () => {
    expectWarning('is not allowed to use its sessions')
    const page = await pageOf('blog')
    expect(await page.evaluate(`window.policy = 'no-referrer', byScripts("${host}")`)).toMatch(/^44.*ORIGIN_REFUSED/)
    expect(app.sockets).toEqual([])
  })

  for (const way of ['byWebSocket', 'byScripts']) {
    it(`${way}: the own page passes`, async () => {
      const page = await pageOf('shop')
      expect(await page.evaluate(`${way}("${host}")`)).toMatch(/^40/)
      expect(app.shared.snapshot(app.sockets[0]!)).toEqual({ user: 'ada' })
    })
  }
})
