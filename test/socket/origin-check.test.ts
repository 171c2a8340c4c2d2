import { afterEach, describe, expect, it } from 'vitest'
import { type App, type AppOptions, type Browser, closeApps, startApp } from '../support/app.js'
import { letIn, refused } from '../support/handshake.js'
import { until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

const PAGE = 'https://shop.example:8443'

async function visited(options: AppOptions = {}): Promise<{ app: App; browser: Browser }> {
  const app = await startApp(options)
  const browser = app.browser()
  await browser.get('/set?user=ada')
  return { app, browser }
}

function from(browser: Browser, origin: string, headers: Record<string, string> = {}, transports = ['websocket']) {
  return browser.open({ transports, extraHeaders: { ...(browser.cookie && { cookie: browser.cookie }), origin, ...headers } })
}

describe('the origin check by default', () => {
  for (const transport of ['websocket', 'polling']) {
    describe(`on ${transport}`, () => {
      it('a page of the own host passes, whatever its port and scheme', async () => {
        const { browser } = await visited()
        await letIn(from(browser, 'http://127.0.0.1:1', {}, [transport]))
        await letIn(from(browser, 'https://127.0.0.1', {}, [transport]))
      })

      it('a page of another host is refused: ORIGIN_REFUSED says what was compared and which option', async () => {
        expectWarning('is not allowed to use its sessions')
        const { app, browser } = await visited()
        const error = await refused(from(browser, PAGE, {}, [transport]))
        expect(error.data).toEqual({ code: 'ORIGIN_REFUSED' })
        expect(error.message).toContain('(shop.example)')
        expect(error.message).toContain('(127.0.0.1)')
        expect(error.message).toContain('allowedOrigins')
        expect(app.shared.stats().sockets).toBe(0)
      })
    })
  }

  it('a page of another host is refused where the session middleware runs on a request of its own, and only hands the session on', async () => {
    expectWarning('is not allowed to use its sessions')
    const { browser } = await visited({
      wrap: (session) => (request, response, done) => {
        const { method, url, headers, socket } = request
        const own: any = { method, url, originalUrl: url, headers, socket, connection: socket }
        session(own, response, (error: unknown) => {
          ;(request as any).sessionStore = own.sessionStore
          request.session = own.session
          done(error)
        })
      },
    })
    expect((await refused(from(browser, PAGE))).data).toEqual({ code: 'ORIGIN_REFUSED' })
  })

  it('the host of X-Forwarded-Host passes, the first of several', async () => {
    expectWarning('is not allowed to use its sessions')
    const { browser } = await visited()
    await letIn(from(browser, PAGE, { 'x-forwarded-host': 'SHOP.example' }))
    await letIn(from(browser, PAGE, { 'x-forwarded-host': 'shop.example:80, inner.example' }))
    await refused(from(browser, PAGE, { 'x-forwarded-host': 'inner.example, shop.example' }))
  })

  for (const [what, origin] of [
    ['null', 'null'],
    ['empty', ''],
    ['no address', 'not an origin'],
    ['a host that ends like the own one', 'http://x127.0.0.1'],
    ['the own host as its user', 'http://127.0.0.1@evil.example'],
    ['a file', 'file://'],
  ] as const) {
    it(`an Origin that is ${what} is refused`, async () => {
      expectWarning('is not allowed to use its sessions')
      const { browser } = await visited()
      expect((await refused(from(browser, origin))).data).toEqual({ code: 'ORIGIN_REFUSED' })
    })
  }

  it('null does not pass where the Host header says null', async () => {
    expectWarning('is not allowed to use its sessions')
    const { browser } = await visited()
    await refused(from(browser, 'null', { host: 'null' }))
  })

  it('no Origin (not a browser) passes', async () => {
    const { browser } = await visited()
    await browser.connect()
  })

  it('without the session cookie any page passes, with a session of its own', async () => {
    const { app } = await visited()
    await letIn(from(app.browser(), PAGE))
    const tampered = app.browser()
    tampered.cookie = 'connect.sid=s%3Aabc.def'
    await letIn(from(tampered, PAGE))
  })

  it('a refusal emits one warning that names the option, and no session:error', async () => {
    const warnings = expectWarning('is not allowed to use its sessions')
    const { app, browser } = await visited()
    const errors: unknown[] = []
    app.shared.events.on('session:error', (error) => void errors.push(error))
    await refused(from(browser, PAGE))
    await refused(from(browser, PAGE))
    await until(() => warnings.length > 0)
    expect(warnings).toEqual([expect.stringContaining('allowedOrigins')])
    expect(errors).toEqual([])
  })
})

describe('the option cors of socket.io', () => {
  const cases: [string, any, boolean][] = [
    ['a string', { credentials: true, origin: PAGE }, true],
    ['another string', { credentials: true, origin: 'https://other.example' }, false],
    ['the same host on another port', { credentials: true, origin: 'https://shop.example' }, false],
    ['a list', { credentials: true, origin: ['https://other.example', PAGE] }, true],
    ['a list with a regular expression', { credentials: true, origin: ['https://other.example', /shop\.example/] }, true],
    ['a list without it', { credentials: true, origin: ['https://other.example'] }, false],
    ["a list with '*', which is no wildcard there", { credentials: true, origin: ['*'] }, false],
    ['a regular expression', { credentials: true, origin: /\.example:8443$/ }, true],
    ['another regular expression', { credentials: true, origin: /^http:/ }, false],
    ['true', { credentials: true, origin: true }, true],
    ['false', { credentials: true, origin: false }, false],
    ["'*', which does not go with credentials", { credentials: true, origin: '*' }, false],
    ['nothing', { credentials: true }, false],
    ['a function that allows', { credentials: true, origin: (origin: string, done: any) => done(null, origin === PAGE) }, true],
    ['a function that names it', { credentials: true, origin: (_: string, done: any) => done(null, [PAGE]) }, true],
    ['a function that refuses', { credentials: true, origin: (_: string, done: any) => done(null, false) }, false],
    ['no credentials', { origin: PAGE }, false],
    ['options by a function', (_: any, done: any) => done(null, { credentials: true, origin: PAGE }), true],
  ]
  for (const [what, cors, allowed] of cases) {
    it(`${what}: ${allowed ? 'allowed' : 'refused'}`, async () => {
      const { browser } = await visited({ io: { cors } })
      const client = from(browser, PAGE)
      if (allowed) return void (await letIn(client))
      expectWarning('is not allowed to use its sessions')
      expect((await refused(client)).data).toEqual({ code: 'ORIGIN_REFUSED' })
    })
  }

  // socket.io asks first, and refuses by itself where its own question fails.
  for (const [what, second] of [
    ['fails', (done: any) => done(new Error('no'), true)],
    [
      'throws',
      () => {
        throw new Error('no')
      },
    ],
    ['never answers', () => {}],
  ] as const) {
    for (const [of, cors] of [
      ['origin', (ask: any) => ({ credentials: true, origin: (_: string, done: any) => ask((error: any) => done(error, true)) })],
      ['options', (ask: any) => (_: any, done: any) => ask((error: any) => done(error, { credentials: true, origin: true }))],
    ] as const) {
      it(`a function for ${of} that ${what} when it is called again: refused, within the time limit`, async () => {
        expectWarning('is not allowed to use its sessions')
        let asked = 0
        const ask = (done: any) => (asked++ === 0 ? done(null) : second(done))
        const { browser } = await visited({ shared: { retry: { timeout: 20 } }, io: { cors: cors(ask) as any } })
        expect((await refused(from(browser, PAGE))).data).toEqual({ code: 'ORIGIN_REFUSED' })
        expect(asked).toBe(2)
      })
    }
  }

  it('is not used if allowedOrigins is given', async () => {
    expectWarning('is not allowed to use its sessions')
    const { browser } = await visited({ shared: { allowedOrigins: [] }, io: { cors: { credentials: true, origin: PAGE } } })
    await refused(from(browser, PAGE))
  })
})

describe('allowedOrigins', () => {
  const cases: [string, any, boolean][] = [
    ['the origin', PAGE, true],
    ['the origin with a slash', `${PAGE}/`, true],
    ['the origin in capitals', 'HTTPS://SHOP.EXAMPLE:8443', true],
    ['the origin on another port', 'https://shop.example', false],
    ['the origin with another scheme', 'http://shop.example:8443', false],
    ['the host', 'shop.example', true],
    ['the host in capitals', 'Shop.Example', true],
    ['the host with the port', 'shop.example:8443', true],
    ['the host with another port', 'shop.example:1', false],
    ['another host', 'example', false],
    ['a list', ['other.example', 'shop.example'], true],
    ['a regular expression', /\.example:\d+$/, true],
    ['another regular expression', /^https:\/\/a\./, false],
    ["'*'", '*', true],
    ["a list with '*'", ['other.example', '*'], true],
  ]
  for (const [what, allowedOrigins, allowed] of cases) {
    it(`${what}: ${allowed ? 'allowed' : 'refused'}`, async () => {
      const { browser } = await visited({ shared: { allowedOrigins } })
      const client = from(browser, PAGE)
      if (allowed) return void (await letIn(client))
      expectWarning('is not allowed to use its sessions')
      expect((await refused(client)).data).toEqual({ code: 'ORIGIN_REFUSED' })
    })
  }

  it.each([
    ['shop.example:443', 'https://shop.example', true],
    ['shop.example:80', 'https://shop.example', false],
    ['shop.example:80', 'http://shop.example', true],
    ['shop.example:443', 'http://shop.example', false],
  ])("the host %s, which has a scheme's own port, and the page %s: allowed %s", async (allowedOrigins, page, allowed) => {
    const { browser } = await visited({ shared: { allowedOrigins } })
    const client = from(browser, page)
    if (allowed) return void (await letIn(client))
    expectWarning('is not allowed to use its sessions')
    expect((await refused(client)).data).toEqual({ code: 'ORIGIN_REFUSED' })
  })

  it('a global regular expression allows each time, not every other time', async () => {
    const { browser } = await visited({ shared: { allowedOrigins: /shop\.example/g } })
    await letIn(from(browser, PAGE))
    await letIn(from(browser, PAGE))
  })

  it('the own host passes too, and the origin null does not match a name', async () => {
    expectWarning('is not allowed to use its sessions')
    const { browser } = await visited({ shared: { allowedOrigins: ['shop.example'] } })
    await letIn(from(browser, 'http://127.0.0.1'))
    await refused(from(browser, 'null'))
  })
})
