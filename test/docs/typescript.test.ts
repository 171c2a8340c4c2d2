import { afterEach, describe, expect, it } from 'vitest'
import { next } from '../support/wait.js'
import { client, cookieOf, json, listen, scene, surroundings, tidy } from './scene.js'
import { run } from './snippets.js'

afterEach(tidy)

describe('TypeScript', () => {
  it('TypeScript: the typed session is the live one', async () => {
    const around = scene()
    const { greeting } = await run('greeting.ts', {}, 'greeting')
    const url = await listen(around, around.shared)
    const cookie = cookieOf(await fetch(`${url}/start`))!
    const connected = next(around.io, 'connection')
    client(url, cookie)
    expect(greeting(around.shared, await connected)).toBe('Hello stranger')
    await around.shared.flush()
    expect(await json(`${url}/session`, cookie)).toMatchObject({ visits: 1 })
  })

  it('shared in other files: the module makes a middleware and the sessions of its sockets', async () => {
    const around = surroundings()
    const { expressSession, sharedsession } = around
    const { session, shared } = await run('shared.ts', { expressSession, sharedsession }, 'session', 'shared')
    around.app.use(session)
    shared.attach(around.io)
    around.app.get('/published', (req, res) => {
      Object.assign(req.session, { user: { name: 'Ada' } })
      res.json(shared.published(req))
    })
    const url = await listen(around, shared)
    const response = await fetch(`${url}/published`)
    expect(await response.json()).toMatchObject({ state: { user: 'Ada' } })
    const connected = next(around.io, 'connection')
    client(url, cookieOf(response))
    expect(shared.session(await connected).user).toEqual({ name: 'Ada' })
  })

  it('Passport: a socket has its user until its session has none', async () => {
    const around = scene()
    const serialized: unknown[] = []
    const passport = {
      serializeUser: (serialize: (user: object, done: (...args: unknown[]) => void) => void) =>
        serialize({ id: 1, name: 'Ada' }, (...args) => serialized.push(...args)),
    }
    const { userOf } = await run('passport-session.ts', { passport }, 'userOf')
    expect(serialized).toEqual([null, 1])
    const url = await listen(around, around.shared)
    const connected = next(around.io, 'connection')
    client(url, cookieOf(await fetch(`${url}/start`)))
    const socket = await connected
    Object.assign(socket.request, { user: { id: 1, name: 'Ada' } })
    expect(userOf(around.shared, socket)).toBeUndefined()
    Object.assign(around.shared.session(socket), { passport: { user: 1 } })
    expect(userOf(around.shared, socket)).toEqual({ id: 1, name: 'Ada' })
  })
})
