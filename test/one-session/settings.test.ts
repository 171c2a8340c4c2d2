import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import expressSession from 'express-session'
import { Server } from 'socket.io'
import { afterEach, describe, expect, it } from 'vitest'
import sharedsession from '../../src/index.js'
import { CookieBrowser, closePages } from '../support/browser.js'
import { letIn } from '../support/handshake.js'
import { until } from '../support/wait.js'
import { closeSites, type Site, type SiteOptions, startSite } from './site.js'

afterEach(async () => {
  closePages()
  await closeSites()
})

/** A first visit whose request and handshake are both answered before their cookies are seen; then the next request. */
async function visit(site: Site, browser: CookieBrowser, transports: ('polling' | 'websocket')[] = ['websocket']) {
  const client = browser.open(site.url, { transports })
  await letIn(client)
  await client.emitWithAck('add', 'x')
  const given = browser.cookie
  const other = new CookieBrowser()
  await other.fetch(`${site.url}/add?item=a`, { method: 'POST' })
  browser.cookie = [other.cookie, given].filter(Boolean).join('; ')
  return { found: await browser.json(`${site.url}/session`), given }
}

const SETTINGS: Record<string, SiteOptions> = {
  'a name of its own': { session: { name: 'shop' } },
  'several secrets': { session: { secret: ['new', 'old'] } },
  'a path, sameSite, no httpOnly': { session: { cookie: { path: '/', sameSite: 'strict', httpOnly: false } } },
  'a maximum age and rolling': { session: { cookie: { maxAge: 60_000 }, rolling: true } },
  'saveUninitialized and resave': { session: { saveUninitialized: true, resave: true } },
  'an id with dots and tildes': { session: { genid: () => `a.b~c ${Math.random()}` } },
}

it.each(Object.entries(SETTINGS))('joins a first visit with %s', async (_name, options) => {
  const site = await startSite(options)
  const browser = new CookieBrowser()
  const { found, given } = await visit(site, browser)
  expect(given).toMatch(new RegExp(`^${options.session?.name ?? 'connect.sid'}\\.socket\\.`))
  expect(found).toMatchObject({ http: ['a'], socket: ['x'] })
  expect(browser.cookie).not.toContain('.socket.')
})

it('the socket cookie has the attributes of the session cookie, and is removed with them', async () => {
  const site = await startSite({ session: { cookie: { maxAge: 60_000, sameSite: 'lax' } } })
  const lines: string[] = []
  const browser = new CookieBrowser()
  const keep = browser.keep.bind(browser)
  browser.keep = (given) => {
    lines.push(...given)
    keep(given)
  }
  await visit(site, browser)
  const [given, removed] = lines.filter((line) => line.includes('.socket.')) as [string, string]
  expect(given).toMatch(/; Path=\/; Expires=[^;]+; HttpOnly; SameSite=Lax$/)
  expect(removed).toMatch(/^connect\.sid\.socket\.[\w-]+=; Path=\/; HttpOnly; SameSite=Lax; Expires=Thu, 01 Jan 1970/)
})

describe.each(['before', 'after'])('an application’s own cookies, with listeners that come %s attach()', (when) => {
  it.each([['polling'], ['websocket']] as const)('leave beside ours on %s', async (transport) => {
    const http = createServer(express())
    const io = new Server(http)
    const session = expressSession({ secret: 'secret', resave: false, saveUninitialized: false })
    const shared = sharedsession(session)
    const listen = (): void => {
      io.engine.on('initial_headers', (headers: any) => {
        headers['set-cookie'] = 'first=1'
      })
      io.engine.on('headers', (headers: any) => {
        headers['Set-Cookie'] = 'second=2'
      })
    }
    if (when === 'before') listen()
    shared.attach(io)
    if (when === 'after') listen()
    http.listen(0)
    await once(http, 'listening')
    const browser = new CookieBrowser()
    await letIn(browser.open(`http://127.0.0.1:${(http.address() as AddressInfo).port}`, { transports: [transport] }))
    expect(browser.cookie).toContain('connect.sid.socket.')
    expect(browser.cookie).toContain('second=2')
    await shared.close()
    await io.close()
  })
})

it('the socket cookies of two session middlewares of one server are kept apart', async () => {
  const http = createServer()
  const app = express()
  http.on('request', app)
  const io = new Server(http)
  const secret = 'secret'
  const all = ['one', 'two'].map((name) => {
    const session = expressSession({ name, secret, resave: false, saveUninitialized: false })
    app.get(`/${name}`, session, (req, res) => void res.json(req.session))
    const shared = sharedsession(session, { autoSave: true })
    io.of(`/${name}`).use(shared)
    return { name, shared, attach: () => shared.attach(new Server()) }
  })
  for (const { name } of all) {
    io.of(`/${name}`).on('connection', (socket) =>
      socket.on('set', (value, ack) => {
        ;(socket.handshake as any).session.value = value
        ack()
      }),
    )
  }
  http.listen(0)
  await once(http, 'listening')
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  const warm = new CookieBrowser()
  for (const { name } of all) await letIn(warm.open(`${url}/${name}`, { transports: ['polling'] }))
  const browser = new CookieBrowser()
  for (const { name } of all)
    await (await letIn(browser.open(`${url}/${name}`, { transports: ['polling'] }))).emitWithAck('set', name)
  expect(browser.cookie).toMatch(/one\.socket\..*two\.socket\./)
  for (const { name } of all) expect(await browser.json(`${url}/${name}`)).toMatchObject({ value: name })
  for (const { shared } of all) await shared.close()
  await io.close()
})

describe('row 7: cookies that somebody else has set', () => {
  it('a forged socket cookie, or one of another application, has no effect and removes nothing', async () => {
    const site = await startSite()
    const browser = new CookieBrowser()
    await browser.fetch(`${site.url}/add?item=a`, { method: 'POST' })
    const other = await startSite({ session: { secret: 'another' } })
    const foreign = new CookieBrowser()
    await letIn(foreign.open(other.url, { transports: ['websocket'] }))
    for (const sent of ['connect.sid.socket.x=~s%3Amade.up', foreign.cookie]) {
      browser.cookie += `; ${sent}`
      expect(await browser.json(`${site.url}/session`)).toMatchObject({ http: ['a'] })
      expect((await (await letIn(browser.open(site.url))).emitWithAck('get')).http).toEqual(['a'])
      const alone = new CookieBrowser(sent)
      expect((await alone.json(`${site.url}/session`)).http).toBeUndefined()
      expect((await (await letIn(alone.open(site.url))).emitWithAck('get')).http).toBeUndefined()
    }
  })

  it('a socket cookie of another visitor replaces neither a session that is there nor its data', async () => {
    const site = await startSite()
    const attacker = new CookieBrowser()
    const socket = attacker.open(site.url, { transports: ['websocket'] })
    await letIn(socket)
    await attacker.fetch(`${site.url}/login`, { method: 'POST' })
    const victim = new CookieBrowser()
    await victim.fetch(`${site.url}/login`, { method: 'POST' })
    await victim.fetch(`${site.url}/add?item=secret`, { method: 'POST' })
    const own = victim.cookie
    victim.cookie = `${own}; ${attacker.cookie}`
    expect(await victim.json(`${site.url}/session`)).toMatchObject({ user: 'ada', http: ['secret'] })
    expect(victim.cookie).toContain(own)
    await until(
      () =>
        socket.connected &&
        socket
          .timeout(1000)
          .emitWithAck('get')
          .catch(() => undefined),
    )
    expect(await socket.emitWithAck('get')).not.toHaveProperty('http')
    expect((await attacker.json(`${site.url}/session`)).http).toBeUndefined()
  })

  it('a socket cookie that claims to stand in for a session that is there does not: a handshake reads that session first', async () => {
    const site = await startSite()
    const attacker = new CookieBrowser()
    await letIn(attacker.open(site.url, { transports: ['websocket'] }))
    const victim = new CookieBrowser()
    await victim.fetch(`${site.url}/add?item=a`, { method: 'POST' })
    const { claimedSid, digestOf } = await import('../../src/socket/handshake/handshake-cookie.js')
    const [name, value] = String(attacker.cookie).split(/=(.*)/) as [string, string]
    victim.cookie += `; ${name}=${digestOf(claimedSid(String(victim.cookie).split('=')[1] as string))}${value}`
    const tab = await letIn(victim.open(site.url, { transports: ['websocket'] }))
    expect((await tab.emitWithAck('get')).http).toEqual(['a'])
    expect(await victim.json(`${site.url}/session`)).toMatchObject({ http: ['a'] })
  })
})

it('close() takes its listeners off the HTTP server, and a session that was made without a request is stored as ever', async () => {
  const http = createServer()
  const io = new Server(http)
  const count = () => http.listenerCount('request') + http.listenerCount('upgrade')
  const before = count()
  const store = new expressSession.MemoryStore()
  const shared = sharedsession(expressSession({ secret: 'secret', store, resave: false, saveUninitialized: false }))
  shared.attach(io)
  expect(count()).toBe(before + 2)
  // express-session's type wants a request.
  const made = new (expressSession as any).Session({ sessionID: 'made' }, { cookie: new (expressSession as any).Cookie(), n: 1 })
  await new Promise<void>((resolve, reject) => store.set('made', made, (error) => (error ? reject(error) : resolve())))
  expect(Object.keys((store as any).sessions)).toEqual(['made'])
  await shared.close()
  expect(count()).toBe(before)
  await io.close()
})
