import express5 from 'express'
import expressSession from 'express-session'
// @ts-expect-error: an alias of another version has no types of its own
import express4 from 'express4'
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

  describe.each([
    ['Express 4', express4 as typeof express5],
    ['Express 5', express5],
  ])('members, with %s', (_version, createApp) => {
    it('a first request without a cookie counts 1, and the next one with its cookie 2', async () => {
      const around = scene(createApp)
      await run('members', around)
      const url = await listen(around, around.shared)
      const first = await fetch(`${url}/visits`, { method: 'POST' })
      expect(await first.json()).toEqual({ count: 1 })
      expect(await json(`${url}/visits`, cookieOf(first)!, { method: 'POST' })).toEqual({ count: 2 })
    })

    it('an error of the handler is answered', async () => {
      const around = scene(createApp)
      const to = () => {
        throw new Error('no such room')
      }
      await run('members', { ...around, io: { to } })
      const url = await listen(around, around.shared)
      expect((await fetch(`${url}/visits`, { method: 'POST' })).status).toBe(500)
    })
  })

  it("update() of a socket's first contact needs a save() before", async () => {
    const around = scene()
    const { shared } = around
    const url = await listen(around, shared)
    const connected = next(around.io, 'connection')
    client(url)
    const socket = await connected
    const count = () =>
      shared.update(socket, (draft) => {
        draft.count = 1
      })
    await expect(count()).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' })
    await shared.session(socket).save()
    expect(await count()).toEqual({ count: 1 })
  })
})
