import type { Socket } from 'socket.io'
import { afterEach, describe, expect, it } from 'vitest'
import { type App, type AppOptions, type Browser, closeApps, startApp, type TestClient } from '../support/app.js'
import { letIn, refused } from '../support/handshake.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

const PAGE = 'https://evil.example'

async function visited(options: AppOptions = {}): Promise<{ app: App; browser: Browser; admitted: Socket[] }> {
  const app = await startApp({
    wire(io, shared) {
      for (const name of ['/', '/chat', /^\/room-\d+$/]) io.of(name).use(shared)
    },
    ...options,
  })
  const admitted: Socket[] = []
  for (const name of ['/', '/chat']) app.io.of(name).on('connection', (socket) => admitted.push(socket))
  const browser = app.browser()
  await browser.get('/set?user=ada')
  return { app, browser, admitted }
}

const from = (browser: Browser, origin: string, more: object = {}): TestClient =>
  browser.open({ extraHeaders: { cookie: browser.cookie!, origin }, ...more })

for (const [name, transports] of Object.entries({
  websocket: ['websocket'],
  polling: ['polling'],
  'polling that upgrades': ['polling', 'websocket'],
})) {
  describe(`by ${name}`, () => {
    for (const origin of [PAGE, 'null']) {
      for (const namespace of ['/', '/chat', '/room-1']) {
        it(`a page of ${origin} is refused on ${namespace}`, async () => {
          expectWarning('is not allowed to use its sessions')
          const { app, browser, admitted } = await visited()
          const error = await refused(from(browser, origin, { transports, namespace }))
          expect(error.data).toEqual({ code: 'ORIGIN_REFUSED' })
          expect(error.message).toContain(`(${origin === PAGE ? 'evil.example' : 'null'})`)
          expect(error.message).toContain('(127.0.0.1)')
          expect([admitted, app.shared.stats().sockets]).toEqual([[], 0])
        })
      }
    }
  })
}

it('a connection that has upgraded and joined a namespace without sessions is refused in a namespace with sessions', async () => {
  expectWarning('is not allowed to use its sessions')
  const { app, browser, admitted } = await visited()
  app.io.of('/public')
  const open = from(browser, PAGE, { transports: ['polling', 'websocket'], namespace: '/public' })
  const upgraded = new Promise((resolve) => upgrade(open, resolve))
  await Promise.all([letIn(open), upgraded])
  for (const namespace of ['/', '/chat']) {
    expect((await refused(open.io.socket(namespace, {}) as TestClient)).data).toEqual({ code: 'ORIGIN_REFUSED' })
  }
  expect(open.connected).toBe(true)
  expect(admitted).toEqual([])
})

it('a cookie that only the upgrade carries does not name the session', async () => {
  const { browser } = await visited()
  // Of a page that opens its connection without credentials, which any page may, and then upgrades by a WebSocket, which sends cookies.
  const client = from(browser, PAGE, {
    transports: ['polling', 'websocket'],
    extraHeaders: {},
    transportOptions: { websocket: { extraHeaders: { cookie: browser.cookie!, origin: PAGE } } },
  })
  const upgraded = new Promise((resolve) => upgrade(client, resolve))
  await letIn(client)
  await upgraded
  expect(Object.keys(await client.emitWithAck('get'))).toEqual(['cookie'])
})

function upgrade(client: TestClient, resolve: (value: unknown) => void): void {
  client.io.once('open', () => client.io.engine.once('upgrade', resolve))
}

describe('a script element of a page, to which engine.io answers as JSONP', () => {
  /** What a page learns that opens a connection by script elements, and its namespace by a form. */
  async function byScripts(app: App, cookie: string, headers: Record<string, string>): Promise<string> {
    const url = `${app.url}/socket.io/?EIO=4&transport=polling&j=0`
    const ask = async (more = ''): Promise<string> => (await fetch(url + more, { headers: { cookie, ...headers } })).text()
    const { sid } = JSON.parse(JSON.parse((await ask()).match(/^___eio\[0\]\((.*)\);$/)![1]!).slice(1))
    const body = new URLSearchParams({ d: '40' }).toString()
    const post = { 'content-type': 'application/x-www-form-urlencoded', origin: PAGE, cookie }
    await fetch(`${url}&sid=${sid}`, { method: 'POST', headers: post, body })
    return ask(`&sid=${sid}`)
  }

  for (const [what, headers] of [
    ['says nothing of itself, as over plain HTTP', {}],
    ['is of another site', { 'sec-fetch-site': 'cross-site' }],
    ['is of another host of the site', { 'sec-fetch-site': 'same-site', referer: 'https://blog.example.com/page' }],
    ['is named by Referer', { referer: `${PAGE}/page` }],
  ] as [string, Record<string, string>][]) {
    it(`is refused where it sends the session cookie and ${what}`, async () => {
      expectWarning('is not allowed to use its sessions')
      const { app, browser, admitted } = await visited()
      expect(await byScripts(app, browser.cookie!, headers)).toContain('ORIGIN_REFUSED')
      expect(admitted).toEqual([])
    })
  }

  it('passes if its Referer is of the own host', async () => {
    const { app, browser, admitted } = await visited()
    await byScripts(app, browser.cookie!, { referer: `${app.url}/page` })
    expect(admitted).toHaveLength(1)
  })

  it('passes if its Referer is of an allowed origin', async () => {
    const { app, browser, admitted } = await visited({ shared: { allowedOrigins: PAGE } })
    await byScripts(app, browser.cookie!, { referer: `${PAGE}/page`, 'sec-fetch-site': 'cross-site' })
    expect(admitted).toHaveLength(1)
  })

  it('passes with allowedOrigins *', async () => {
    const { app, browser, admitted } = await visited({ shared: { allowedOrigins: '*' } })
    await byScripts(app, browser.cookie!, {})
    expect(admitted).toHaveLength(1)
  })
})

describe('a request without Origin, by its Sec-Fetch-Site', () => {
  for (const [site, allowed] of [
    ['same-origin', true],
    ['none', true],
    ['same-site', false],
    ['cross-site', false],
  ] as const) {
    it(`${site}: ${allowed ? 'passes' : 'refused'}`, async () => {
      const { browser } = await visited()
      const client = browser.open({
        transports: ['polling'],
        extraHeaders: { cookie: browser.cookie!, 'sec-fetch-site': site },
      })
      if (allowed) return void (await letIn(client))
      expectWarning('is not allowed to use its sessions')
      expect((await refused(client)).data).toEqual({ code: 'ORIGIN_REFUSED' })
    })
  }
})
