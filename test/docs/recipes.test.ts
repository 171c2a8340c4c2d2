import { isDeepStrictEqual } from 'node:util'
import expressSession from 'express-session'
// @ts-expect-error: an alias of another version has no types of its own
import express4 from 'express4'
import { afterEach, describe, expect, it } from 'vitest'
import { ControlledStore } from '../support/controlled-store.js'
import { next, until } from '../support/wait.js'
import { openPage } from './page.js'
import { folderWith, program, programAt, vitest } from './program.js'
import { client, cookieOf, json, listen, scene, surroundings, tidy } from './scene.js'
import { run, snippet } from './snippets.js'

afterEach(tidy)

type Page = Awaited<ReturnType<typeof openPage>>

const shown = (page: Page, session: object) =>
  until(() => isDeepStrictEqual(JSON.parse(page.elements.session!.textContent || '{}'), session))

/** A click that is acknowledged: a tab may just be connecting again. */
const adds = (page: Page) =>
  until(() =>
    page.elements.add!.onclick!().then(
      (answer) => answer === 'saved',
      () => false,
    ),
  )

/** A process of its own starts slowly where many do. */
const SLOW = 60_000

describe('recipes', () => {
  it('a complete server and its page: two tabs show what the other and HTTP did', { timeout: SLOW }, async () => {
    const folder = folderWith({ 'server.ts': snippet('recipes#server.ts'), 'index.html': snippet('recipes#index.html') })
    const url = await program(folder, 'server.ts').line(/http:\S+/)
    const one = await openPage(url)
    const two = await openPage(url, one.browser)
    const nobody = { user: 'nobody', items: [] }
    await shown(one, nobody)
    await shown(two, nobody)
    await adds(one)
    await shown(one, { user: 'nobody', items: ['apple'] })
    await shown(two, { user: 'nobody', items: ['apple'] })
    await two.elements.login!.onclick!()
    await shown(one, { user: 'Ada', items: ['apple'] })
    await shown(two, { user: 'Ada', items: ['apple'] })
  })

  it('a complete server: two tabs through a restart, a login, a reload of both, a logout and a login again', {
    timeout: SLOW,
  }, async () => {
    const folder = folderWith({ 'server.ts': snippet('recipes#server.ts'), 'index.html': snippet('recipes#index.html') })
    const server = program(folder, 'server.ts')
    const url = await server.line(/http:\S+/)
    let one = await openPage(url)
    let two = await openPage(url, one.browser)
    for (const page of [one, two]) await shown(page, { user: 'nobody', items: [] })
    await adds(one)
    await shown(two, { user: 'nobody', items: ['apple'] })
    server.signal('SIGKILL')
    await server.ended
    await programAt(new URL(url).port, folder, 'server.ts').line(/http:\S+/)
    for (const page of [one, two]) await shown(page, { user: 'nobody', items: [] })
    await adds(one)
    for (const page of [one, two]) await shown(page, { user: 'nobody', items: ['apple'] })
    await two.elements.login!.onclick!()
    for (const page of [one, two]) await shown(page, { user: 'Ada', items: ['apple'] })
    for (const page of [one, two]) page.close()
    one = await openPage(url, one.browser)
    two = await openPage(url, one.browser)
    for (const page of [one, two]) await shown(page, { user: 'Ada', items: ['apple'] })
    await one.elements.logout!.onclick!()
    for (const page of [one, two]) await shown(page, { user: 'nobody', items: [] })
    await one.elements.login!.onclick!()
    for (const page of [one, two]) await shown(page, { user: 'Ada', items: [] })
  })

  it('testing: its test of the complete server passes', { timeout: SLOW }, async () => {
    const folder = folderWith({ 'server.ts': snippet('recipes#server.ts'), 'server.test.ts': snippet('server.test.ts') })
    const tests = program(folder, '--test', 'server.test.ts')
    expect({ code: await tests.ended, output: tests.output }).toMatchObject({ code: 0, output: expect.stringMatching(/pass 1/) })
  })

  it('testing with Vitest: its test of the complete server passes', { timeout: SLOW }, async () => {
    const tests = vitest({ 'server.ts': snippet('recipes#server.ts'), 'tabs.test.ts': snippet('tabs.test.ts') })
    expect({ code: await tests.ended, output: tests.output }).toMatchObject({
      code: 0,
      output: expect.stringMatching(/1 passed/),
    })
  })

  it('rooms: one event reaches all tabs of a session, another one all browsers of its user', async () => {
    const around = scene()
    await run('login', around)
    await run('rooms', around)
    const url = await listen(around, around.shared)
    const logIn = async (): Promise<string> => cookieOf(await fetch(`${url}/login`, { method: 'POST' }))!
    const [mine, other, guest] = [await logIn(), await logIn(), cookieOf(await fetch(`${url}/start`))!]
    const seen: [string, string][] = []
    for (const [name, cookie] of [
      ['one tab', mine],
      ['another tab', mine],
      ['another browser', other],
      ['a guest', guest],
    ] as const) {
      const tab = client(url, cookie)
      tab.on('notice', (text) => seen.push([name, text]))
      await next(tab, 'connect')
    }
    await fetch(`${url}/notice`, { method: 'POST', headers: { cookie: mine } })
    const here = 'for all tabs of this browser'
    const everywhere = 'for all browsers of this user'
    await until(() => seen.length === 5)
    const wanted = [
      ['one tab', here],
      ['one tab', everywhere],
      ['another tab', here],
      ['another tab', everywhere],
      ['another browser', everywhere],
    ]
    expect(seen.sort()).toEqual(wanted.sort())
  })

  it('a client without cookies has the session that it has logged in to', async () => {
    const around = scene()
    await run('login', around)
    const url = await listen(around, around.shared)
    const { logIn } = await run(
      'no-cookies',
      { connect: (at: string, options: object) => client(at, undefined, options) },
      'logIn',
    )
    const connected = next(around.io, 'connection')
    await logIn(url)
    expect(around.shared.session(await connected).user).toMatchObject({ name: 'Ada' })
  })

  it('merging, counters and roles: the counter counts, the roles stay with their user, update() can say no', async () => {
    const withSession = () => {
      const around = surroundings()
      const { app, store, secret } = around
      const session = expressSession({ secret, store, resave: false, saveUninitialized: false })
      app.use(session)
      return { ...around, session }
    }
    expect((await run('merge', withSession(), 'shared')).shared).toBeTypeOf('function')
    const around = withSession()
    const { shared } = await run('counters', around, 'shared')
    const url = await listen(around, shared)
    const cookie = cookieOf(await fetch(`${url}/role`, { method: 'POST' }))!
    await next(client(url, cookie), 'connect')
    await next(client(url, cookie), 'connect')
    const spent = await fetch(`${url}/spend`, { method: 'POST', headers: { cookie } })
    expect(spent.status).toBe(500)
    const session = await json(`${url}/session`, cookie)
    expect(session).toMatchObject({ count: 2, user: { name: 'ada', roles: ['admin'] } })
    expect(session).not.toHaveProperty('credit')
  })

  it('logging a user out everywhere ends sessions that are live nowhere, too', async () => {
    const around = scene()
    const { shared } = around
    await run('everywhere', around)
    const url = await listen(around, shared)
    const logIn = async (): Promise<string> => cookieOf(await fetch(`${url}/login`, { method: 'POST' }))!
    const [idle, other] = [await logIn(), await logIn()]
    const socket = client(url, other, { reconnection: false })
    await next(socket, 'connect')
    expect(shared.stats().sessions).toBe(1)
    const guest = await fetch(`${url}/logout-everywhere`, { method: 'POST' })
    expect(guest.status).toBe(401)
    const gone = next(socket, 'disconnect')
    expect((await fetch(`${url}/logout-everywhere`, { method: 'POST', headers: { cookie: idle } })).status).toBe(204)
    await gone
    for (const cookie of [idle, other]) expect(await json(`${url}/session`, cookie)).not.toHaveProperty('user')
    await shared.destroy('a session that is not there')
  })

  it('logging a user out everywhere answers an error of the store, with Express 4 too', async () => {
    const around = scene(express4 as never)
    const destroy = () => Promise.reject(new Error('the store is down'))
    await run('everywhere', { ...around, shared: { destroy } })
    const url = await listen(around, around.shared)
    const cookie = cookieOf(await fetch(`${url}/login`, { method: 'POST' }))!
    expect((await fetch(`${url}/logout-everywhere`, { method: 'POST', headers: { cookie } })).status).toBe(500)
  })

  it('a job changes a session by its id, does not extend it, and goes on where it has ended', async () => {
    const around = scene()
    const url = await listen(around, around.shared)
    const cookie = cookieOf(await fetch(`${url}/start`))!
    const sid = /s(?:%3A|:)([^.]+)/.exec(cookie)![1]!
    const stored = (): any => JSON.parse((around.store as any).sessions[sid])
    const cookieBefore = { ...stored().cookie, originalMaxAge: 3_600_000, expires: new Date(Date.now() + 60_000).toISOString() }
    ;(around.store as any).sessions[sid] = JSON.stringify({ ...stored(), cookie: cookieBefore })
    const { jobs, charge } = await run('job', around, 'jobs', 'charge')
    await charge(sid)
    await charge(sid)
    expect(stored()).toMatchObject({ theme: 'dark', credit: -2, cookie: { expires: cookieBefore.expires } })
    await jobs.destroy(sid)
    await charge(sid)
    expect(stored).toThrow()
  })

  it('waiting for a request: its head comes before the session is saved, the end of its body after it', async () => {
    const around = surroundings()
    const store = new ControlledStore()
    around.app.use(around.expressSession({ secret: 'secret', store, resave: false, saveUninitialized: false }))
    around.app.post('/theme', (req, res) => {
      req.session.theme = 'dark'
      res.json({})
    })
    const url = await listen(around)
    const held = store.hold('set')
    let cookie = ''
    const order: string[] = []
    const asPage = async (path: string, init: RequestInit = {}): Promise<Response> => {
      const response = await fetch(url + path, { ...init, headers: { cookie } })
      order.push(path)
      cookie = cookieOf(response) ?? cookie
      if (path === '/theme') {
        // The page goes on when the body has been read, which ends when the session is saved.
        held.called.then(() => {
          order.push('saved')
          held.release()
        })
      }
      return response
    }
    const { theme } = await run('body', { fetch: asPage }, 'theme')
    expect(theme).toBe('dark')
    expect(order).toEqual(['/theme', 'saved', '/session'])
  })

  it('keeping the cookie alive: a message does not prolong it, a request of the route does', async () => {
    const around = surroundings()
    const { session } = await run('alive', around, 'session')
    const shared = around.sharedsession(session, { autoSave: true, touch: 1 })
    around.io.use(shared)
    around.app.get('/start', (req, res) => {
      req.session.theme = 'dark'
      res.json({})
    })
    const url = await listen(around, shared)
    const cookie = cookieOf(await fetch(`${url}/start`))!
    const connected = next(around.io, 'connection')
    const socket = client(url, cookie)
    const there = await connected
    there.on('message', (ack: () => void) => ack())
    const { expires } = shared.session(there).cookie
    await until(async () => {
      await socket.emitWithAck('message')
      return Number(shared.session(there).cookie.expires) > Number(expires)
    })
    const alive = await fetch(`${url}/alive`, { headers: { cookie } })
    expect(alive.status).toBe(204)
    expect(cookieOf(alive)).toBe(cookie)
    expect(alive.headers.getSetCookie()[0]).toMatch(/; Expires=/)
  })

  it('keeping the cookie alive: the page calls the route after it has sent something, and only then', async () => {
    const asked: string[] = []
    let tick = () => {}
    let send = () => {}
    await run('alive-client', {
      fetch: (path: string) => asked.push(path),
      setInterval: (callback: () => void) => {
        tick = callback
      },
      socket: {
        onAnyOutgoing: (callback: () => void) => {
          send = callback
        },
      },
    })
    tick()
    expect(asked).toEqual([])
    send()
    tick()
    tick()
    expect(asked).toEqual(['/alive'])
  })
})
