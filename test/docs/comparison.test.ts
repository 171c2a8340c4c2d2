import type { RequestHandler } from 'express'
import type { Session, SessionData } from 'express-session'
import expressSession from 'express-session'
import expressSocketIoSession from 'express-socket.io-session'
import type { Server, Socket } from 'socket.io'
import { afterEach, describe, expect, it } from 'vitest'
import sharedsession, { type SharedSession } from '../../src/index.js'
import { next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'
import { client, cookieOf, json, listen, surroundings, tidy } from './scene.js'

afterEach(tidy)

type Held = Session & Partial<SessionData>

interface Peer {
  /** Puts sessions on the server, as the documentation of this peer shows it. */
  install(io: Server, session: RequestHandler): SharedSession | undefined
  sessionOf(socket: Socket): Held
}

const ours: Peer = {
  install: (io, session) => {
    const shared = sharedsession(session, { autoSave: true })
    shared.attach(io)
    // A refused save is reported there; without a listener it would be a warning.
    shared.events.on('session:error', () => {})
    return shared
  },
  sessionOf: ({ handshake }) => handshake.session,
}

const recipe: Peer = {
  install: (io, session) => void io.engine.use(session),
  sessionOf: ({ request }) => (request as unknown as { session: Held }).session,
}

const superseded: Peer = {
  install: (io, session) => void io.use(expressSocketIoSession(session, { autoSave: true })),
  sessionOf: ({ handshake }) => (handshake as unknown as { session: Held }).session,
}

/** A server with that peer, a browser that has a session, and its socket. */
async function start({ install, sessionOf }: Peer) {
  const around = surroundings()
  const { app, io, server, store, secret } = around
  const session = expressSession({ secret, store, resave: false, saveUninitialized: false })
  app.use(session)
  app.get('/theme/:theme', (req, res) => {
    req.session.theme = req.params.theme
    res.json({})
  })
  app.post('/logout', (req, res) => {
    req.session.destroy(() => res.json({}))
  })
  io.attach(server)
  const shared = install(io, session)
  const url = await listen({ ...around, io: { attach: () => io, close: () => io.close() } as unknown as Server }, shared)
  const cookie = cookieOf(await fetch(`${url}/theme/dark`))!
  const connected = next(io, 'connection')
  const tab = client(url, cookie, { reconnection: false })
  const socket: Socket = await connected
  await until(() => tab.connected)
  const get = (path: string, init?: RequestInit) => json(`${url}${path}`, cookie, init)
  return { io, url, cookie, tab, socket, session: sessionOf(socket), get, saved: () => get('/session') }
}

type Started = Awaited<ReturnType<typeof start>>

/** What is awaited where nothing is to happen: a request that comes back, after which the server has done all that was due. */
const settle = async ({ saved }: Started): Promise<void> => void (await saved())

const reload = (session: Held) => new Promise<void>((resolve) => session.reload(() => resolve()))
const save = (session: Held) => new Promise<unknown>((resolve) => session.save(resolve))

describe('the comparison in README.md: a socket sees a write by HTTP', () => {
  it('sharedsession: at once, with an event', async () => {
    const { socket, session, get } = await start(ours)
    const changed = next(socket, 'session:changed')
    await get('/theme/light')
    expect(await changed).toMatchObject({ keys: ['theme'], origin: 'http' })
    expect(session.theme).toBe('light')
  })

  it("Socket.IO's recipe: after reload()", async () => {
    const { session, get, socket } = await start(recipe)
    await get('/theme/light')
    expect(session.theme).toBe('dark')
    await reload(session)
    expect(recipe.sessionOf(socket).theme).toBe('light')
  })

  it('express-socket.io-session: after a reconnect', async () => {
    const started = await start(superseded)
    await started.get('/theme/light')
    await settle(started)
    expect(superseded.sessionOf(started.socket).theme).toBe('dark')
    const connected = next(started.io, 'connection')
    client(started.url, started.cookie)
    expect(superseded.sessionOf(await connected).theme).toBe('light')
  })
})

describe('the comparison in README.md: a write after an await', () => {
  /** @returns whether HTTP sees a count that a handler wrote after an await, without save() */
  async function isSaved(peer: Peer): Promise<boolean> {
    const { socket, tab, saved } = await start(peer)
    socket.on('count', async (ack) => {
      await new Promise((resolve) => setImmediate(resolve))
      peer.sessionOf(socket).count = 1
      ack()
    })
    await tab.emitWithAck('count')
    return (await saved()).count === 1
  }

  it('sharedsession: is saved', async () => expect(await isSaved(ours)).toBe(true))
  it("Socket.IO's recipe: is not saved without save()", async () => expect(await isSaved(recipe)).toBe(false))
  it('express-socket.io-session: is not saved without save()', async () => expect(await isSaved(superseded)).toBe(false))
})

describe('the comparison in README.md: 50 sockets write at once, each to its own key', () => {
  /** @returns how many of the 50 writes are in the store afterwards */
  async function kept(peer: Peer, write: (session: Held, key: string) => unknown): Promise<number> {
    const { io, url, cookie, saved } = await start(peer)
    io.on('connection', (socket) => {
      socket.on('write', async (key, ack) => {
        await write(peer.sessionOf(socket), key)
        ack()
      })
    })
    const tabs = Array.from({ length: 50 }, () => client(url, cookie))
    await until(() => tabs.every(({ connected }) => connected))
    await Promise.all(tabs.map((tab, index) => tab.emitWithAck('write', `key${index}`)))
    return Object.keys(await saved()).filter((key) => key.startsWith('key')).length
  }
  const assign = (session: Held, key: string) => Object.assign(session, { [key]: 1 })

  it('sharedsession: none is lost', async () => expect(await kept(ours, assign)).toBe(50))

  it("Socket.IO's recipe: most are lost", async () => {
    const write = (session: Held, key: string) =>
      new Promise((resolve) =>
        session.reload(() => {
          // reload() puts a new object on the request.
          const { session: current } = session.req as unknown as { session: Held }
          assign(current, key)
          current.save(resolve)
        }),
      )
    expect(await kept(recipe, write)).toBeLessThan(25)
  })

  it('express-socket.io-session: most are lost', async () => {
    const write = (session: Held, key: string) => save(assign(session, key))
    expect(await kept(superseded, write)).toBeLessThan(25)
  })
})

describe('the comparison in README.md: a logout', () => {
  /** @returns whether the socket is still connected after the logout */
  async function staysConnected(peer: Peer): Promise<boolean> {
    const { tab, get, socket } = await start(peer)
    socket.on('ping', (ack) => ack())
    const gone = new Promise<boolean>((resolve) => tab.once('disconnect', () => resolve(false)))
    await get('/logout', { method: 'POST' })
    // An ack after the logout shows that the socket is still handled.
    return Promise.race([gone, tab.emitWithAck('ping').then(() => true)])
  }

  it('sharedsession: ends the sockets', async () => expect(await staysConnected(ours)).toBe(false))
  it("Socket.IO's recipe: they stay connected", async () => expect(await staysConnected(recipe)).toBe(true))
  it('express-socket.io-session: they stay connected', async () => expect(await staysConnected(superseded)).toBe(true))

  /** @returns whether the session is there again after a save that came later than the logout */
  async function comesBack(peer: Peer): Promise<boolean> {
    const { session, get, saved } = await start(peer)
    await get('/logout', { method: 'POST' })
    session.count = 1
    await Promise.resolve(save(session)).catch(() => {})
    return (await saved()).theme === 'dark'
  }

  it('sharedsession: a save that is late for it is refused', async () => expect(await comesBack(ours)).toBe(false))
  it("Socket.IO's recipe: such a save brings the session back", async () => expect(await comesBack(recipe)).toBe(true))
  it('express-socket.io-session: such a save brings the session back', async () => expect(await comesBack(superseded)).toBe(true))
})

describe("the comparison in README.md: a socket of a foreign page with the user's cookie", () => {
  /** @returns the theme in the session that such a socket gets, or the code of the refusal */
  async function foreign(peer: Peer): Promise<unknown> {
    const { io, url, cookie } = await start(peer)
    const connected = next(io, 'connection')
    const page = client(url, cookie, { extraHeaders: { origin: 'https://evil.example' } })
    const refused = next(page, 'connect_error').then(({ data }) => data.code)
    return Promise.race([refused, connected.then((socket) => peer.sessionOf(socket).theme)])
  }

  it('sharedsession: is refused', async () => {
    expectWarning('is not allowed to use its sessions')
    expect(await foreign(ours)).toBe('ORIGIN_REFUSED')
  })
  it("Socket.IO's recipe: gets the session", async () => expect(await foreign(recipe)).toBe('dark'))
  it('express-socket.io-session: gets the session', async () => expect(await foreign(superseded)).toBe('dark'))
})
