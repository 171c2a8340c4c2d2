import expressSession from 'express-session'
import { afterEach, describe, expect, it } from 'vitest'
import { handshakeCookies, pairOf } from '../support/cookies.js'
import { next, until } from '../support/wait.js'
import { client, cookieOf, json, listen, scene, surroundings, tidy } from './scene.js'
import { run } from './snippets.js'

afterEach(tidy)

describe('the reference', () => {
  it('attach: a client whose first contact is a socket is found by HTTP with the cookie of its handshake', async () => {
    const around = surroundings()
    const { app, io, store, secret } = around
    const session = expressSession({ secret, store, resave: false, saveUninitialized: false })
    app.use(session)
    const { shared } = await run('attach', { ...around, session }, 'shared')
    io.on('connection', ({ handshake }) => {
      handshake.session.theme = 'dark'
    })
    const url = await listen(around, shared)
    const lines = await handshakeCookies(client(url))
    await until(() => shared.stats().writes === 1)
    expect(await json(`${url}/session`, pairOf(lines)!)).toMatchObject({ theme: 'dark' })
  })

  it('state of one connection: each tab has its own room, and both count visits', async () => {
    const around = surroundings()
    const { app, store, secret } = around
    const session = expressSession({ secret, store, resave: false, saveUninitialized: true })
    app.use(session)
    const { shared } = await run('per-socket', { ...around, session }, 'shared')
    const url = await listen(around, shared)
    const cookie = cookieOf(await fetch(`${url}/session`))!
    const [one, two] = [client(url, cookie), client(url, cookie)]
    expect(await one.emitWithAck('join', 'red')).toBe('red')
    expect(await two.emitWithAck('join', 'blue')).toBe('blue')
    const saved = await json(`${url}/session`, cookie)
    expect(saved).toMatchObject({ visits: 2 })
    expect(saved).not.toHaveProperty('room')
  })

  it('members: update() counts overlapping requests, room() reaches the sockets', async () => {
    const around = scene()
    await run('members', around)
    const url = await listen(around, around.shared)
    const cookie = cookieOf(await fetch(`${url}/start`))!
    const socket = client(url, cookie)
    await next(socket, 'connect')
    const told = next(socket, 'visits', (count) => count === 5)
    const visit = () => json(`${url}/visits`, cookie, { method: 'POST' })
    const counts = await Promise.all([visit(), visit(), visit(), visit(), visit()])
    expect(counts.map(({ count }) => count).sort()).toEqual([1, 2, 3, 4, 5])
    await told
  })
})
