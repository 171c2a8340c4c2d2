import passport from 'passport'
import { Strategy } from 'passport-local'
import { afterEach, describe, expect, it } from 'vitest'
import { next, until } from '../support/wait.js'
import { client, cookieOf, json, listen, scene, surroundings, tidy } from './scene.js'
import { run } from './snippets.js'

afterEach(tidy)

describe('the README', () => {
  it('passport: login and logout by HTTP, and whom the socket then is', async () => {
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
    // The client comes back by itself from that; here with the cookie that a browser would have by then.
    expect(await gone).toBe('transport close')
    const user = client(url, cookie, { reconnection: false })
    expect(await user.emitWithAck('whoami')).toBe('Ada')
    const out = next(user, 'disconnect')
    expect(await post('/logout', {})).toBe(204)
    expect(await out).toBe('transport close')
    expect(await client(url, cookie).emitWithAck('whoami')).toBe('nobody')
  })

  it('logout: the next login reaches the sockets that came back from it, and those that came back from a destroy()', async () => {
    const around = scene()
    await run('login', around)
    around.app.post('/destroy', (req, res, go) => req.session.destroy((error) => (error ? go(error) : res.json({}))))
    const url = await listen(around, around.shared)
    const opened = next(around.io, 'connection')
    let cookie = cookieOf(await fetch(`${url}/start`))!
    const socket = client(url, cookie)
    // What a browser does by itself.
    Object.defineProperty(socket.io.opts.extraHeaders, 'cookie', { get: () => cookie })
    const post = async (path: string) => {
      const response = await fetch(url + path, { method: 'POST', headers: { cookie } })
      cookie = cookieOf(response) ?? cookie
    }
    /** @returns the live session that the client then comes back with */
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

  it("the browser's cookie: a message does not prolong it, the small route does", async () => {
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

  it('its page asks when it has sent something, and only then', async () => {
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

describe('when a session ends on arrival', () => {
  it('a guest stays away at once, whose cookie names a session after one return', async () => {
    const around = scene()
    await run('arrival', around)
    let times = 0
    around.io.on('connection', () => times++)
    const url = await listen(around, around.shared)
    const away = async (cookie?: string): Promise<number> => {
      times = 0
      const socket = client(url, cookie)
      await until(() => times > 0 && !socket.active)
      return times
    }
    expect(await away()).toBe(1)
    expect(await away(cookieOf(await fetch(`${url}/start`)))).toBe(2)
  })

  it('guests that are refused', async () => {
    const around = scene()
    await run('guests', around)
    const url = await listen(around, around.shared)
    expect((await next(client(url), 'connect_error')).message).toBe('log in first')
  })
})
