import passport from 'passport'
import { Strategy } from 'passport-local'
import { afterEach, describe, expect, it } from 'vitest'
import { next, until } from '../support/wait.js'
import { client, cookieOf, json, listen, scene, tidy } from './scene.js'
import { run } from './snippets.js'

afterEach(tidy)

describe('login', () => {
  it('login with regenerate: the socket gets session:destroyed, and reconnects with the new cookie', async () => {
    const around = scene()
    await run('login', around)
    const url = await listen(around, around.shared)
    const before = cookieOf(await fetch(`${url}/start`))!
    const connected = next(around.io, 'connection')
    const socket = client(url, before)
    const ended = next(await connected, 'session:destroyed')
    const again = next(around.io, 'connection')
    const login = fetch(`${url}/login`, { method: 'POST', headers: { cookie: before } })
    const after = cookieOf(await login)!
    // As a browser does.
    socket.io.opts.extraHeaders = { cookie: after }
    expect(after).not.toBe(before)
    expect(await ended).toEqual({ reason: 'regenerated' })
    expect(around.shared.session(await again).user).toMatchObject({ name: 'Ada' })
  })

  it('passport: after a login and a logout by HTTP, the socket has the user that the browser then is', async () => {
    const around = scene()
    const ada = { id: 1, name: 'Ada' }
    const users = {
      verify: async (name: string, password: string) => name === 'ada' && password === 'engine' && ada,
      find: async (id: unknown) => id === 1 && ada,
    }
    await run('passport', { ...around, passport: new passport.Passport(), Strategy, users })
    const url = await listen(around, around.shared)
    let cookie = cookieOf(await fetch(`${url}/start`))!
    const post = async (path: string, body: object) => {
      const headers = { cookie, 'content-type': 'application/json' }
      const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })
      cookie = cookieOf(response) ?? cookie
      return response.status
    }
    const guest = client(url, cookie, { reconnection: false })
    expect(await guest.emitWithAck('whoami')).toBe('nobody')
    expect(await post('/login', { username: 'ada', password: 'compiler' })).toBe(401)
    expect(guest.connected).toBe(true)
    const gone = next(guest, 'disconnect')
    expect(await post('/login', { username: 'ada', password: 'engine' })).toBe(200)
    // A client reconnects after that; here with the cookie that a browser would have by then.
    expect(await gone).toBe('transport close')
    const user = client(url, cookie, { reconnection: false })
    expect(await user.emitWithAck('whoami')).toBe('Ada')
    const out = next(user, 'disconnect')
    expect(await post('/logout', {})).toBe(204)
    expect(await out).toBe('transport close')
    expect(await client(url, cookie).emitWithAck('whoami')).toBe('nobody')
  })

  it('passport: the guard refuses a guest, and lets in who has logged in', async () => {
    const around = scene()
    const ada = { id: 1, name: 'Ada' }
    const users = { verify: async () => ada, find: async () => ada }
    await run('passport', { ...around, passport: new passport.Passport(), Strategy, users })
    await run('passport-guard', around)
    const url = await listen(around, around.shared)
    expect((await next(client(url), 'connect_error')).message).toBe('log in first')
    const body = JSON.stringify({ username: 'ada', password: 'engine' })
    const headers = { 'content-type': 'application/json' }
    const cookie = cookieOf(await fetch(`${url}/login`, { method: 'POST', headers, body }))!
    await next(client(url, cookie), 'connect')
  })

  it('passport: with keepSessionInfo the data of the guest is still there after the login', async () => {
    const around = scene()
    const ada = { id: 1, name: 'Ada' }
    const users = { verify: async () => ada, find: async () => ada }
    const own = new passport.Passport()
    // The first handler of a route answers.
    await run('passport-keep', { ...around, passport: own })
    await run('passport', { ...around, passport: own, Strategy, users })
    const url = await listen(around, around.shared)
    const guest = cookieOf(await fetch(`${url}/start`))!
    const body = JSON.stringify({ username: 'ada', password: 'engine' })
    const headers = { cookie: guest, 'content-type': 'application/json' }
    const cookie = cookieOf(await fetch(`${url}/login`, { method: 'POST', headers, body }))!
    expect(cookie).not.toBe(guest)
    expect(await json(`${url}/session`, cookie)).toMatchObject({ theme: 'dark', passport: { user: 1 } })
  })

  it('only logged-in users: a guest is refused, comes in after the login, and is refused after the logout', async () => {
    const around = scene()
    await run('login', around)
    await run('guests', around)
    const url = await listen(around, around.shared)
    let cookie = cookieOf(await fetch(`${url}/start`))!
    const document = { body: { className: '' } }
    const socket = client(url, cookie)
    // As a browser does.
    Object.defineProperty(socket.io.opts.extraHeaders, 'cookie', { get: () => cookie })
    const asPage = async (path: string): Promise<void> => {
      cookie = cookieOf(await fetch(url + path, { method: 'POST', headers: { cookie } })) ?? cookie
    }
    const { logIn } = await run('guests-page', { io: () => socket, document, fetch: asPage }, 'logIn')
    await until(() => document.body.className === 'guest')
    const entered = next(around.io, 'connection')
    await logIn('ada', 'engine')
    expect(around.shared.session(await entered).user).toMatchObject({ name: 'Ada' })
    await until(() => socket.connected)
    document.body.className = ''
    await asPage('/logout')
    await until(() => document.body.className === 'guest')
    expect(socket.active).toBe(false)
  })

  it('logout: the next login reaches the sockets that reconnected after the logout, and those that reconnected after a destroy()', async () => {
    const around = scene()
    await run('login', around)
    around.app.post('/destroy', (req, res, go) => req.session.destroy((error) => (error ? go(error) : res.json({}))))
    const url = await listen(around, around.shared)
    const opened = next(around.io, 'connection')
    let cookie = cookieOf(await fetch(`${url}/start`))!
    const socket = client(url, cookie)
    // As a browser does.
    Object.defineProperty(socket.io.opts.extraHeaders, 'cookie', { get: () => cookie })
    const post = async (path: string) => {
      const response = await fetch(url + path, { method: 'POST', headers: { cookie } })
      cookie = cookieOf(response) ?? cookie
    }
    /** @returns the live session with which the client reconnects */
    const back = async (path: string) => {
      const again = next(around.io, 'connection')
      await post(path)
      return around.shared.session(await again)
    }
    await opened
    expect((await back('/login')).user).toMatchObject({ name: 'Ada' })
    expect((await back('/logout')).user).toBeUndefined()
    expect((await back('/login')).user).toMatchObject({ name: 'Ada' })
    const empty = await back('/destroy')
    await next(socket, 'connect')
    const again = next(around.io, 'connection')
    await post('/login')
    expect(await json(`${url}/session`, cookie)).toMatchObject({ user: { name: 'Ada' } })
    expect(around.shared.session(await again).user).toMatchObject({ name: 'Ada' })
    expect(empty.user).toBeUndefined()
  })
})
