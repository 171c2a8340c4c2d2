import expressSession, { type Store } from 'express-session'
import type { Socket } from 'socket.io'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { SharedSessionOptions } from '../../src/index.js'
import { type AppOptions, closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { collect, tab, turns } from '../support/live.js'
import { sidOf } from '../support/sid.js'
import { next, until } from '../support/wait.js'

// A session that has sockets, and that nobody has read or written yet.

afterEach(() => {
  vi.restoreAllMocks()
  return closeApps()
})

/** A needle that only the session's data contains. */
const NEEDLE = 'needle-in-the-session'

const stores: Record<string, () => Store> = {
  'a store whose text is compared': () => new expressSession.MemoryStore(),
  'a store with get and set only': () => new ControlledStore(),
}

for (const [kind, open] of Object.entries(stores)) {
  /** A visitor with a tab that has only connected. */
  async function idle(shared: SharedSessionOptions = {}, options: AppOptions = {}) {
    const store = options.store ?? open()
    const app = await startApp({ store, shared: { touch: false, ...shared }, ...options })
    const browser = app.browser()
    await browser.get(`/set?user=${NEEDLE}`)
    const client = await browser.connect()
    const socket = app.sockets[0] as Socket
    const text = (): string => (store as any).sessions[sidOf(browser)]
    return {
      ...{ store, app, browser, client, socket, sid: sidOf(browser) },
      stored: () => JSON.parse(text()),
      read: () => (socket.handshake as any).session as Record<string, any>,
    }
  }

  describe(`on ${kind}, an idle session`, () => {
    it('shows what an HTTP request has written meanwhile', async () => {
      const { browser, read } = await idle()
      await browser.get('/set?user=grace&n=1')
      await browser.get('/delete?key=n')
      expect(read()).toMatchObject({ user: 'grace' })
      expect(read()).not.toHaveProperty('n')
    })

    it('shows a socket that connects what the store holds then, whoever has written it', async () => {
      const { app, store, browser, sid } = await idle()
      const { cookie } = JSON.parse((store as any).sessions[sid])
      ;(store as any).sessions[sid] = JSON.stringify({ cookie, user: 'grace' })
      const later = await tab(app, browser)
      expect(later.session.user).toBe('grace')
      // Of the same connection, whose first handshake has read the session.
      ;(store as any).sessions[sid] = JSON.stringify({ cookie, user: 'edith' })
      const connected = next(app.io.of('/later').use(app.shared), 'connection')
      ;(later.client as any).io.socket('/later').connect()
      expect(app.shared.session((await connected) as Socket)).toMatchObject({ user: 'edith' })
    })

    it('is the same one for who took it, when its socket has gone and another one comes', async () => {
      const { app, browser, client, socket, read } = await idle()
      const session = read()
      client.disconnect()
      await next(socket, 'disconnect')
      await until(() => app.shared.stats().sockets === 0)
      const later = await tab(app, browser)
      session.n = 1
      expect(later.session.n).toBe(1)
    })

    it('shows what another socket has written, and what update() has', async () => {
      const { app, browser, socket, read } = await idle()
      const other = await browser.connect()
      await other.emitWithAck('set', 'n', 1)
      await app.shared.update(socket, (draft: any) => {
        draft.m = 2
      })
      expect(read()).toMatchObject({ user: NEEDLE, n: 1, m: 2 })
    })

    for (const wrapped of [false, true])
      it(`has the end that a request’s touch has given it${wrapped ? ', also where express-session was run for it' : ''}`, async () => {
        const { browser, read, stored } = await idle(
          {},
          {
            ...(wrapped && { wrap: (session) => (req, res, done) => session(req, res, done) }),
            session: { rolling: true, cookie: { maxAge: 60_000 } },
            routes: (http) =>
              http.get('/longer', (req, res) => {
                req.session.cookie.maxAge = 3_600_000
                res.json({})
              }),
          },
        )
        const before = stored().cookie.expires
        await browser.get('/longer')
        expect(stored().cookie.expires).not.toBe(before)
        expect(read().cookie.expires.toISOString()).toBe(stored().cookie.expires)
        expect(read().cookie.originalMaxAge).toBe(stored().cookie.originalMaxAge)
        expect(read().user).toBe(NEEDLE)
      })

    it('emits session:destroyed with its reason, and can be read after that', async () => {
      const { browser, socket, read } = await idle({ onEnd: 'keep' })
      const ended = next(socket, 'session:destroyed')
      await browser.get('/destroy')
      expect(await ended).toEqual({ reason: 'destroyed' })
      expect(read()).toMatchObject({ user: NEEDLE })
    })

    it('refuses a first write after its end: SESSION_ENDED, its ack is not sent, and nothing is stored', async () => {
      const { app, browser, client, socket, sid, store } = await idle({ onEnd: 'keep' })
      const errors = collect(socket, 'session:error')
      const acks: unknown[] = []
      await app.shared.destroy(sid)
      client.emit('set', 'n', 1, (answer: unknown) => acks.push(answer))
      await until(() => errors.length > 0)
      await app.shared.flush()
      const mark = next(client, 'mark')
      socket.emit('mark')
      await mark
      expect(errors).toEqual([expect.objectContaining({ code: 'SESSION_ENDED' })])
      expect(acks).toEqual([])
      expect((store as any).sessions[sid]).toBeUndefined()
      await browser.get('/session')
      expect((store as any).sessions[sid]).toBeUndefined()
    })

    it('tells a listener that comes late of what changes from then on', async () => {
      const { app, browser, socket, read } = await idle()
      await browser.get('/set?before=1')
      const changes = collect(socket, 'session:changed')
      await browser.get('/set?after=2')
      await until(() => changes.length > 0)
      expect(changes).toHaveLength(1)
      const [{ patches, keys, origin, session }] = changes
      expect({ patches, keys, origin }).toEqual({
        patches: [{ op: 'add', path: ['after'], value: '2' }],
        keys: ['after'],
        origin: 'http',
      })
      expect(session).toBe(read())
      expect(session).toBe(app.shared.session(socket))
      expect(session).toMatchObject({ user: NEEDLE, before: '1', after: '2' })
    })

    it('tells a listener on shared.events', async () => {
      const { app, browser, sid } = await idle()
      await browser.get('/set?before=1')
      const changes = collect(app.shared.events, 'session:changed')
      await browser.get('/set?after=2')
      await until(() => changes.length > 0)
      expect(changes).toEqual([
        expect.objectContaining({ sessionID: sid, patches: [{ op: 'add', path: ['after'], value: '2' }], keys: ['after'] }),
      ])
    })

    it('shows values that are no objects as they are by then, and then an object, as a session in use does', async () => {
      const { browser, client, read, sid, store, stored } = await idle()
      const { cookie, ...data } = stored()
      const more = { none: null, zero: 0, list: [1], save: 'data', id: 'data', toJSON: 'data', constructor: 'data' }
      ;(store as any).sessions[sid] = JSON.stringify({ cookie, ...data, ...more })
      await browser.get('/set?n=1')
      const seen = () => {
        const { user, n, none, zero, missing, id, save, toJSON } = read()
        return { user, n, none, zero, missing, id, save: typeof save, toJSON, constructor: typeof read().constructor }
      }
      const expected = { user: NEEDLE, n: '1', none: null, zero: 0, missing: undefined }
      const hosts = { id: sid, save: 'function', toJSON: 'data', constructor: 'function' }
      expect(seen()).toEqual({ ...expected, ...hosts })
      expect(read().user).toBe(NEEDLE)
      await browser.get('/set?user=grace')
      expect(read().user).toBe('grace')
      expect(read().list).toEqual([1])
      expect(seen()).toEqual({ ...expected, ...hosts, user: 'grace' })
      read().list.push(2)
      await client.emitWithAck('set', 'm', 2)
      expect(stored()).toMatchObject({ user: 'grace', list: [1, 2], m: 2 })
    })

    for (const name of ['id', 'save', 'toJSON', 'constructor', 'cookie', 'hasOwnProperty', '__proto__'])
      it(`whose ${name} is read first, answers as one in use`, async () => {
        const { read } = await idle()
        const first = read()[name]
        expect(Object.keys(read())).toContain('user')
        expect(typeof first).toBe(typeof read()[name])
      })

    it('with onChange: notify, shows what it was until it is reloaded, and what is saved is merged', async () => {
      const { browser, read, stored } = await idle({ onChange: 'notify' })
      await browser.get('/set?user=grace')
      expect(read().user).toBe(NEEDLE)
      await read().reload()
      expect(read().user).toBe('grace')
      await browser.get('/set?later=1')
      read().mine = true
      await read().save()
      expect(stored()).toMatchObject({ user: 'grace', later: '1', mine: true })
    })

    it('with merge: false, a first write stores what it was loaded with since', async () => {
      const { browser, client, stored } = await idle({ merge: false })
      await browser.get('/set?theme=dark')
      await client.emitWithAck('set', 'n', 1)
      expect(stored()).toMatchObject({ user: NEEDLE, theme: 'dark', n: 1 })
    })

    it('that is written to first, without a read, keeps all that it had', async () => {
      const { client, stored } = await idle()
      await client.emitWithAck('set', 'n', 1)
      expect(stored()).toMatchObject({ user: NEEDLE, n: 1 })
    })

    it('that is written to first is merged with what the store holds by then', async () => {
      const { client, read, sid, store, stored } = await idle()
      const { cookie, ...data } = stored()
      ;(store as any).sessions[sid] = JSON.stringify({ cookie, ...data, foreign: true })
      await client.emitWithAck('set', 'n', 1)
      expect(stored()).toMatchObject({ user: NEEDLE, n: 1, foreign: true })
      expect(read()).toMatchObject({ user: NEEDLE, n: 1, foreign: true })
    })

    it('without autoSave is stored by save() alone', async () => {
      const { app, read, stored } = await idle({ autoSave: false })
      read().n = 1
      await app.shared.flush()
      await turns()
      expect(stored()).not.toHaveProperty('n')
      await read().save()
      expect(stored()).toMatchObject({ user: NEEDLE, n: 1 })
    })

    it('has keys of one socket only', async () => {
      const { app, browser, socket, read, stored } = await idle({ perSocket: ['room'] })
      await browser.connect()
      const other = app.sockets[1]!.handshake as any
      read().room = 'red'
      other.session.room = 'blue'
      read().n = 1
      await app.shared.flush()
      expect([read().room, other.session.room, other.session.n]).toEqual(['red', 'blue', 1])
      expect(stored()).not.toHaveProperty('room')
      expect(app.shared.session(socket)).toBe(read())
    })

    it('that the store never had is stored with saveUninitialized, and by a first write', async () => {
      const store = open()
      const app = await startApp({ store, shared: { saveUninitialized: true } })
      await app.browser().connect()
      await app.shared.flush()
      const { sessionID } = app.sockets[0]!.handshake as any
      expect(Object.keys((store as any).sessions)).toEqual([sessionID])
      ;(app.sockets[0]!.handshake as any).session.n = 1
      await app.shared.flush()
      expect(JSON.parse((store as any).sessions[sessionID])).toMatchObject({ n: 1 })
    })

    it('that Socket.IO recovers shows what was written while its client was away', async () => {
      const { app, browser, client, socket } = await idle({}, { io: { connectionStateRecovery: {} } })
      socket.emit('offset')
      await next(client, 'offset')
      const gone = next(socket, 'disconnect')
      client.io.engine.close()
      await gone
      await browser.get('/set?user=grace')
      client.connect()
      await until(() => app.sockets.length > 1)
      const back = app.sockets[1] as any
      expect(back.recovered).toBe(true)
      expect(back.handshake.session).toMatchObject({ user: 'grace' })
      back.handshake.session.n = 1
      await app.shared.flush()
      expect((await browser.get('/session')).body).toMatchObject({ user: 'grace', n: 1 })
    })
  })
}

// The built package has its own copy of what is counted here.
describe.skipIf(process.env.TEST_BUILT)('the data of an idle session is not parsed', () => {
  it('when its socket connects, its client sends events, and its cookie is used', async () => {
    const app = await startApp({
      session: { cookie: { maxAge: 3_600_000 } },
      connection: (socket) => void socket.on('quiet', (ack) => ack('ok')),
    })
    const browser = app.browser()
    await browser.get(`/set?user=${NEEDLE}`)
    const { parse } = JSON
    let parsed = 0
    vi.spyOn(JSON, 'parse').mockImplementation(((...args: Parameters<typeof parse>) => {
      if (String(args[0]).includes(NEEDLE)) parsed++
      return parse(...args)
    }) as typeof parse)
    const client = await browser.connect()
    await client.emitWithAck('quiet')
    expect(app.shared.explain(app.sockets[0]!)).toBe('The session is not empty.')
    expect(parsed).toBe(0)
    expect((app.sockets[0]!.handshake as any).session.user).toBe(NEEDLE)
    expect(parsed).toBe(1)
    expect(Object.keys((app.sockets[0]!.handshake as any).session)).toContain('user')
    expect(parsed).toBe(1)
  })
})

it('members that need no data do not fail where the session has ended', async () => {
  const store = new ControlledStore()
  const app = await startApp({ store, shared: { onEnd: 'keep' } })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  await browser.connect()
  const socket = app.sockets[0]!
  await app.shared.destroy(socket)
  expect(app.shared.session(socket).id).toBe(sidOf(browser))
  await expect(app.shared.session(socket).save()).rejects.toMatchObject({ code: 'SESSION_ENDED' })
})
