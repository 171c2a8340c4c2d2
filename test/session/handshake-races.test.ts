import { RedisStore } from 'connect-redis'
import expressSession, { type Store } from 'express-session'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type App, type Browser, closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { handshakeCookies, pairOf } from '../support/cookies.js'
import { collect, turns } from '../support/live.js'
import { MemoryBus } from '../support/memory-bus.js'
import { opened } from '../support/opened.js'
import { startRedis } from '../support/redis.js'
import { nodeRedis, type TestClient } from '../support/redis-clients.js'
import { withService } from '../support/service.js'
import { sidOf } from '../support/sid.js'
import { next, until } from '../support/wait.js'

// What happens between the read of a handshake's session and the moment at which its socket joins the session.

afterEach(closeApps)

/** A store whose nodes are each in an application of their own. */
interface Kind {
  /** One node's store. The nodes have the same sessions. */
  open(): Store
  /** What is stored under an id; `undefined` for nothing. */
  stored(sid: string): Promise<any>
  /** Takes a session out of the store without a word, as an expiry does. */
  gone(sid: string): Promise<unknown>
}

interface Scene {
  app: App
  browser: Browser
  sid: string
}

function describeRaces({ open, stored, gone }: Kind, isShared: boolean): void {
  async function visitor(store = open(), bus = new MemoryBus()) {
    const node = (own: Store) =>
      startApp({
        store: own,
        shared: { touch: false, revalidate: false, ...(isShared && { bus: bus.end() }) },
        // From the first handshake on, sessions are read before it is answered.
        wire: (io, shared) => void shared.attach(io),
      })
    const app = await node(store)
    const browser = app.browser()
    await browser.get('/set?user=ada')
    return { app, browser, sid: sidOf(browser), node }
  }

  /** Where something happens: on the node of the handshake, or on another one. */
  const places: Record<string, () => Promise<Scene & { there: Scene }>> = {
    'on the same node': async () => {
      const scene = await visitor()
      return { ...scene, there: scene }
    },
    ...(isShared && {
      'on another node': async () => {
        const { node, ...scene } = await visitor()
        const app = await node(open())
        const browser = Object.assign(app.browser(), { cookie: scene.browser.cookie }) as Browser
        return { ...scene, there: { app, browser, sid: scene.sid } }
      },
    }),
  }

  const writes: Record<string, (there: Scene) => Promise<unknown>> = {
    'an HTTP request writes': ({ browser }) => browser.get('/set?theme=dark'),
    'update() writes': ({ app, sid }) =>
      app.shared.update(sid, (draft: any) => {
        draft.theme = 'dark'
      }),
    'a socket writes': async ({ browser }) => {
      const client = await browser.connect()
      await client.emitWithAck('set', 'theme', 'dark')
    },
    'a socket writes and leaves': async ({ app, browser }) => {
      const client = await browser.connect()
      await client.emitWithAck('set', 'theme', 'dark')
      client.disconnect()
      await until(() => app.shared.stats().sockets === 0)
    },
  }

  const ends: Record<string, (there: Scene) => Promise<unknown>> = {
    'an HTTP request logs out': ({ browser }) => browser.get('/destroy'),
    'an HTTP request regenerates the session': ({ browser }) => browser.get('/regenerate'),
    'shared.destroy() ends it': ({ app, sid }) => app.shared.destroy(sid),
    'a socket ends it': async ({ app, browser }) => {
      await browser.connect()
      await app.shared.destroy(app.sockets.at(-1)!)
    },
  }

  for (const [place, start] of Object.entries(places)) {
    for (const [what, write] of Object.entries(writes)) {
      it(`${what} ${place}: the socket has it, and loses nothing of it`, async () => {
        const { app, browser, sid, there } = await start()
        const count = app.sockets.length
        const connection = await opened(app, browser)
        await write(there)
        const client = connection.come()
        await next(client, 'connect')
        const socket = app.sockets.filter((each) => each.id === client.id)[0]!
        expect(app.sockets.length).toBeGreaterThan(count)
        const { session } = socket.handshake as any
        await until(() => session.theme === 'dark')
        await client.emitWithAck('set', 'n', 1)
        expect(await stored(sid)).toMatchObject({ user: 'ada', theme: 'dark', n: 1 })
        // It hears what comes later.
        await there.browser.get('/set?later=1')
        await until(() => session.later === '1')
      })

      it(`${what} ${place}, and a later handshake is faster: what the first one has read takes nothing back`, async () => {
        const { app, browser, there } = await start()
        const connection = await opened(app, browser)
        await write(there)
        await browser.connect()
        const { session } = app.sockets.at(-1)!.handshake as any
        await until(() => session.theme === 'dark')
        const seen: unknown[] = []
        app.io.on('connection', (socket) => seen.push((socket.handshake as any).session.theme, session.theme))
        await next(connection.come(), 'connect')
        expect(seen).toEqual(['dark', 'dark'])
      })

      it(`${what} ${place}, and the socket writes at once: both are stored`, async () => {
        const { app, browser, sid, there } = await start()
        const connection = await opened(app, browser)
        await write(there)
        app.io.on('connection', (socket) => {
          ;(socket.handshake as any).session.user = 'grace'
        })
        await next(connection.come(), 'connect')
        await app.shared.flush()
        expect(await stored(sid)).toMatchObject({ user: 'grace', theme: 'dark' })
      })
    }

    for (const [what, end] of Object.entries(ends)) {
      it(`${what} ${place}: the socket has not that session, and does not bring it back`, async () => {
        const { app, browser, sid, there } = await start()
        const ended = collect(app.shared.events, 'session:destroyed')
        collect(app.shared.events, 'session:error')
        const connection = await opened(app, browser)
        await end(there)
        // With what the response said.
        browser.cookie = there.browser.cookie
        app.io.on('connection', (socket) => {
          ;(socket.handshake as any).session.late = true
        })
        const client = connection.come()
        await until(
          () => app.sockets.some((each) => each.connected && (each.handshake as any).sessionID !== sid) || ended.length > 0,
        )
        client.emit('set', 'later', true)
        await turns()
        await app.shared.flush()
        expect(await stored(sid)).toBeUndefined()
        await until(() => app.sockets.every((each) => !each.connected || (each.handshake as any).sessionID !== sid))
        expect(await stored(sid)).toBeUndefined()
      })
    }
  }

  for (const place of isShared ? ['on the same node', 'on another node'] : ['on the same node']) {
    it(`the session is moved to another one ${place}: the socket comes to that one, with all that was written`, async () => {
      const { app, browser, sid: to, node } = await visitor()
      const other = place === 'on another node' ? await node(open()) : app
      // A tab that came without a cookie, and the cookie that its handshake was given.
      const tab = app.browser()
      const first = tab.open({ reconnection: false })
      tab.cookie = pairOf(await handshakeCookies(first))
      expect(await first.emitWithAck('set', 'cart', ['tea'])).toBe('ok')
      const sid = (app.sockets.at(-1)!.handshake as any).sessionID
      expect(await stored(sid)).toMatchObject({ cart: ['tea'] })
      const connection = await opened(app, tab)
      const both = Object.assign(other.browser(), { cookie: `${browser.cookie}; ${tab.cookie}` }) as Browser
      expect((await both.get('/session')).body).toMatchObject({ user: 'ada' })
      tab.cookie = browser.cookie
      const client = connection.come()
      await until(() =>
        app.sockets.some((each) => each.connected && each.id === client.id && (each.handshake as any).sessionID === to),
      )
      expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada', cart: ['tea'] })
      await client.emitWithAck('set', 'n', 1)
      expect(await stored(to)).toMatchObject({ user: 'ada', cart: ['tea'], n: 1 })
      expect((await stored(sid))?.n).toBeUndefined()
    })
  }

  it('the session expires: what the socket writes does not bring it back', async () => {
    const { app, browser, sid } = await visitor()
    collect(app.shared.events, 'session:error')
    const connection = await opened(app, browser)
    await gone(sid)
    const client = connection.come()
    await next(client, 'connect')
    client.emit('set', 'late', true)
    await until(() => app.sockets.every((each) => !each.connected || (each.handshake as any).sessionID !== sid))
    await app.shared.flush()
    expect(await stored(sid)).toBeUndefined()
  })

  it('the store is cleared: the socket has a new session', async () => {
    const store = open()
    const { app, browser, sid } = await visitor(store)
    collect(app.shared.events, 'session:error')
    const connection = await opened(app, browser)
    await new Promise<void>((resolve, reject) => store.clear?.((error) => (error ? reject(error) : resolve())))
    const client = connection.come()
    await until(() => app.sockets.some((each) => each.connected && (each.handshake as any).sessionID !== sid))
    expect(await client.emitWithAck('get')).not.toHaveProperty('user')
    await client.emitWithAck('set', 'n', 1)
    expect(await stored(sid)).toBeUndefined()
  })

  it('shared.close() is called: the socket has no session, and nothing is kept', async () => {
    const { app, browser, sid } = await visitor()
    const connection = await opened(app, browser)
    await app.shared.close()
    await next(connection.come(), 'connect')
    expect('session' in app.sockets[0]!.handshake).toBe(false)
    expect(await stored(sid)).toMatchObject({ user: 'ada' })
  })

  it('the connection closes: nothing is kept, and the next socket is as any other', async () => {
    const { app, browser } = await visitor()
    const connection = await opened(app, browser)
    const [conn] = Object.values((app.io.engine as any).clients) as any[]
    const closed = next(conn, 'close')
    connection.manager.reconnection(false)
    connection.manager.engine.close()
    await closed
    expect(app.shared.stats()).toMatchObject({ sessions: 0, sockets: 0 })
    await browser.get('/set?theme=dark')
    expect(await (await browser.connect()).emitWithAck('get')).toMatchObject({ user: 'ada', theme: 'dark' })
  })
}

describe('between the read of a handshake and its socket', () => {
  describe('on MemoryStore', () => {
    let store: any
    const kind: Kind = {
      open: () => {
        store = new expressSession.MemoryStore()
        return store
      },
      stored: async (sid) => store.sessions[sid] && JSON.parse(store.sessions[sid]),
      gone: async (sid) => delete store.sessions[sid],
    }
    describeRaces(kind, false)
  })

  describe('on a store with get and set only', () => {
    const sessions: Record<string, string> = {}
    const clear = (done: () => void): void => {
      for (const sid of Object.keys(sessions)) delete sessions[sid]
      done()
    }
    const kind: Kind = {
      open: () => Object.assign(new ControlledStore(), { sessions, clear }) as Store,
      stored: async (sid) => sessions[sid] && JSON.parse(sessions[sid]),
      gone: async (sid) => delete sessions[sid],
    }
    describeRaces(kind, true)
  })
})

await withService('Redis', startRedis, (redis) => {
  let client: TestClient
  beforeAll(async () => {
    client = await nodeRedis(redis().port)
  })
  afterAll(() => client.end())

  describe('between the read of a handshake and its socket, on Redis', () => {
    const kind: Kind = {
      open: () => new RedisStore({ client: client.client }),
      stored: async (sid) => {
        const text = await client.command('GET', `sess:${sid}`)
        return text === null ? undefined : JSON.parse(text)
      },
      gone: (sid) => client.command('DEL', `sess:${sid}`),
    }
    describeRaces(kind, true)
  })
})
