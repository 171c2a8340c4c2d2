import connectPgSimple from 'connect-pg-simple'
import { RedisStore } from 'connect-redis'
import expressSession from 'express-session'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { postgresBus, type SharedSessionOptions } from '../../src/index.js'
import { type App, type AppOptions, type Browser, closeApps, startApp } from '../support/app.js'
import { isNobodyConnecting } from '../support/handshake.js'
import { startPostgres } from '../support/postgres.js'
import { startRedis } from '../support/redis.js'
import { nodeRedis, type TestClient } from '../support/redis-clients.js'
import { withService } from '../support/service.js'
import { sidOf } from '../support/sid.js'
import { deferred, next, until } from '../support/wait.js'

afterEach(closeApps)

/** Where a node is stopped for a while: after a read of the store, whose answer is held. */
class Brake {
  #read: { reached(): void; released: Promise<void> } | undefined

  /** Holds the answer to the next read. */
  hold(): { reached: Promise<void>; release(): void } {
    const [reached, released] = [deferred(), deferred()]
    this.#read = { reached: reached.resolve, released: released.promise }
    return { reached: reached.promise, release: () => released.resolve() }
  }

  /** @param isRead by the call's arguments */
  on<T extends object>(client: T, method: string, isRead: (...args: any[]) => boolean = () => true): T {
    return new Proxy(client, {
      get: (target, name) => {
        const value = Reflect.get(target, name)
        if (typeof value !== 'function') return value
        if (name !== method) return value.bind(target)
        return async (...args: unknown[]) => {
          const held = isRead(...args) ? this.#read : undefined
          if (held) this.#read = undefined
          const answer = await value.apply(target, args)
          held?.reached()
          await held?.released
          return answer
        }
      },
    })
  }
}

interface Kind {
  open(brake: Brake): { store: expressSession.Store; shared?: SharedSessionOptions }
  isStored(sid: string): Promise<boolean>
}

function describeLogouts({ open, isStored }: Kind): void {
  function node(brake: Brake, options: AppOptions = {}): Promise<App> {
    const { store, shared } = open(brake)
    return startApp({ store, ...options, shared: { revalidate: false, touch: false, ...shared, ...options.shared } })
  }

  /** A visitor who was on one node, and now comes to another. */
  async function start(options: AppOptions = {}) {
    const brake = new Brake()
    const one = await node(new Brake())
    const two = await node(brake, options)
    const browser = one.browser()
    await browser.get('/set?user=ada')
    const there = Object.assign(two.browser(), { cookie: browser.cookie }) as Browser
    return { brake, one, two, browser, there, sid: sidOf(browser) }
  }

  for (const path of ['/destroy', '/regenerate']) {
    for (const writes of [false, true]) {
      const what = writes ? 'what its socket writes at once is not saved' : 'its socket is ended, although it only receives'
      it(`${path} on one, after a handshake on the other has read the session: ${what}`, async () => {
        const { brake, two, browser, there, sid } = await start({
          connection(socket) {
            if (writes) Object.assign((socket.handshake as any).session, { undead: true })
          },
        })
        const read = brake.hold()
        const client = there.open()
        const gone = next(client, 'disconnect')
        await read.reached
        await browser.get(path)
        read.release()
        expect(await gone).toBe('transport close')
        await two.shared.flush().catch(() => undefined)
        expect(await isStored(sid)).toBe(false)
      })
    }
  }

  it('a logout on one node of which no message comes ends the session on the other within revalidate', async () => {
    const { brake, browser, there, sid } = await start({ shared: { bus: false, revalidate: 50 } })
    const read = brake.hold()
    const client = there.open()
    const gone = next(client, 'disconnect')
    await read.reached
    await browser.get('/destroy')
    read.release()
    await gone
    expect(await isStored(sid)).toBe(false)
  })

  it('a logout on one node, while a middleware of the other still decides about a socket: the socket is never let in', async () => {
    const [reached, decided] = [deferred<any>(), deferred()]
    const { two, browser, there } = await start({
      wire(io, shared) {
        io.use(shared)
        io.use((socket, done) => {
          reached.resolve(socket)
          decided.promise.then(() => done())
        })
      },
    })
    there.open()
    const socket = await reached.promise
    const closed = next(socket.conn, 'close')
    await browser.get('/destroy')
    await closed
    decided.resolve()
    await until(() => isNobodyConnecting(two.io.of('/')))
    expect([two.sockets, two.shared.stats().sockets]).toEqual([[], 0])
  })

  it('a logout on one node, while a second socket connects to the other: neither socket has the session afterwards', async () => {
    const { brake, two, browser, there, sid } = await start()
    const first = await there.connect()
    const heard = next(two.sockets[0]!, 'session:destroyed')
    const gone = next(first, 'disconnect')
    const read = brake.hold()
    const second = there.open({ reconnection: true, reconnectionDelay: 1 })
    await read.reached
    await browser.get('/destroy')
    expect(await heard).toEqual({ reason: 'destroyed' })
    await gone
    read.release()
    await until(() => second.connected)
    expect(Object.keys(await second.emitWithAck('get'))).toEqual(['cookie'])
    expect((two.sockets.at(-1)!.handshake as any).sessionID).not.toBe(sid)
  })

  it('a log-in on one node that regenerates: the client reconnects to the other as the user, never with the old cookie', async () => {
    const { one, two, browser, there, sid } = await start()
    const client = there.open({ reconnection: true, reconnectionDelay: 1 })
    const tries: string[] = []
    client.io.on('reconnect_attempt', () => {
      tries.push(sidOf(there))
      Object.assign(client.io.opts, { extraHeaders: { cookie: there.cookie } })
      // What the browser has by the time of the next try: the response is slower than the end of the transport.
      there.cookie = browser.cookie
    })
    await next(client, 'connect')
    // What that read has found is taken in before what comes after it.
    const changed = next(two.sockets[0]!, 'session:changed')
    await browser.get('/set?theme=dark')
    await changed
    const back = next(client, 'connect')
    await browser.get('/regenerate')
    await back
    expect(await client.emitWithAck('get')).toMatchObject({ renewed: true })
    expect(tries).toEqual([sid, sidOf(browser)])
    expect(two.sockets).toHaveLength(2)
    expect((two.sockets[1]!.handshake as any).sessionID).toBe(sidOf(browser))
    expect(one.sockets).toEqual([])
  })

  it('a logout on one node, while the session on the other has no socket: the next socket finds it ended', async () => {
    const { brake, two, browser, there } = await start()
    const first = await there.connect()
    // Kept live by the application, listened to by nobody.
    const kept = two.shared.session(two.sockets[0]!)
    first.disconnect()
    await until(() => two.shared.stats().sockets === 0)
    const read = brake.hold()
    const ended = next(two.shared.events, 'session:destroyed')
    const client = there.open({ reconnection: true, reconnectionDelay: 1 })
    await read.reached
    // The handshake has subscribed to the session, so its end is known before the read is answered: the client comes back.
    await browser.get('/destroy')
    await ended
    read.release()
    await next(client, 'connect')
    await expect(kept.save()).rejects.toMatchObject({ code: 'SESSION_ENDED' })
    expect(two.sockets.at(-1)!.handshake.sessionID).not.toBe(kept.id)
  })
}

await withService('Redis', startRedis, (redis) => {
  let client: TestClient
  beforeAll(async () => {
    client = await nodeRedis(redis().port)
  })
  afterAll(() => client.end())

  describe('a logout, of two nodes on Redis', () => {
    describeLogouts({
      open: (brake) => ({ store: new RedisStore({ client: brake.on(client.client, 'get') as never }) }),
      isStored: async (sid) => (await client.command('EXISTS', `sess:${sid}`)) === 1,
    })
  })
})

await withService('Postgres', startPostgres, (postgres) => {
  let pool: pg.Pool
  beforeAll(async () => {
    pool = new pg.Pool({ connectionString: postgres().url })
    await pool.query('CREATE TABLE session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)')
  })
  afterAll(() => pool.end())

  const PgStore = connectPgSimple(expressSession)
  describe('a logout, of two nodes on Postgres', () => {
    describeLogouts({
      open: (brake) => ({
        store: new PgStore({
          pool: brake.on(pool, 'query', (text) => /^SELECT .* AS sess FROM/.test(text)),
          pruneSessionInterval: false,
        }),
        shared: { bus: postgresBus({ pool }) },
      }),
      isStored: async (sid) => (await pool.query('SELECT FROM session WHERE sid = $1', [sid])).rowCount === 1,
    })
  })
})
