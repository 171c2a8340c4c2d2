import connectPgSimple from 'connect-pg-simple'
import { RedisStore } from 'connect-redis'
import expressSession, { type Store } from 'express-session'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type App, type Browser, closeApps, startApp } from '../support/app.js'
import { collect } from '../support/live.js'
import { startPostgres } from '../support/postgres.js'
import { startRedis } from '../support/redis.js'
import { nodeRedis, type TestClient } from '../support/redis-clients.js'
import { withService } from '../support/service.js'
import { sidOf } from '../support/sid.js'
import { next, until } from '../support/wait.js'

afterEach(closeApps)

/** A store whose touch leaves the end in the stored cookie as it was. */
interface Kind {
  open(): Store
  /** When the session ends by its stored cookie, in ms since the epoch. */
  storedEnd(sid: string): Promise<number>
  /** The store's time for it is over. */
  expire(sid: string): Promise<unknown>
}

const LIFE = 3000

function describeExpiry({ open, storedEnd, expire }: Kind): void {
  /** A visitor on one node, with a socket that only receives. Nothing there asks the store but at the session's end, or every `revalidate` ms. */
  async function idle(revalidate: number | false) {
    const app = await node(revalidate)
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const client = await browser.connect()
    const socket = app.sockets[0]!
    const gone = next(client, 'disconnect')
    const ended = collect(socket, 'session:destroyed')
    return { app, browser, client, ended, gone, sid: sidOf(browser) }
  }

  function node(revalidate: number | false = false): Promise<App> {
    return startApp({ store: open(), session: { cookie: { maxAge: LIFE } }, shared: { touch: 10, revalidate } })
  }

  /** The same visitor on another node. */
  async function onOtherNode(browser: Browser): Promise<Browser> {
    return Object.assign((await node()).browser(), { cookie: browser.cookie })
  }

  /** Does that again and again until the node has asked the store after the end that it knows of. */
  async function prolong({ app, sid }: { app: App; sid: string }, act: () => Promise<unknown>): Promise<void> {
    const end = await storedEnd(sid)
    let reads: number | undefined
    await until(async () => {
      await act()
      if (Date.now() > end) reads ??= app.shared.stats().reads
      return reads !== undefined && app.shared.stats().reads > reads
    })
    expect(await storedEnd(sid)).toBe(end)
  }

  async function receives({ app, client }: { app: App; client: any }): Promise<void> {
    const news = next(client, 'news')
    app.io.emit('news', 'still here')
    expect(await news).toBe('still here')
  }

  it('ends an idle socket when the session expires, although nothing reads the store in between', async () => {
    const { gone, ended, app, client } = await idle(false)
    await receives({ app, client })
    await gone
    expect(ended).toEqual([{ reason: 'expired' }])
  })

  it('does not end a session that HTTP on another node prolonged, until it is missing in the store', async () => {
    const visit = await idle(100)
    const there = await onOtherNode(visit.browser)
    await prolong(visit, () => there.get('/session'))
    expect(visit.ended).toEqual([])
    await receives(visit)
    await expire(visit.sid)
    await visit.gone
    expect(visit.ended).toEqual([{ reason: 'expired' }])
  })

  it('does not end a session that a socket on another node prolonged', async () => {
    const visit = await idle(100)
    const there = await (await onOtherNode(visit.browser)).connect()
    await prolong(visit, () => there.emitWithAck('get'))
    expect(visit.ended).toEqual([])
    await receives(visit)
    await Promise.all([expire(visit.sid), visit.gone])
    expect(visit.ended).toEqual([{ reason: 'expired' }])
  })

  it('a save with an older cookie does not shorten a session that another node prolonged', async () => {
    const visit = await idle(100)
    const there = await onOtherNode(visit.browser)
    await prolong(visit, () => there.get('/session'))
    // By the server: what the client sends is activity, which would move the end.
    Object.assign(visit.app.shared.session(visit.app.sockets[0]!), { theme: 'dark' })
    await visit.app.shared.flush()
    expect((await there.get('/session')).body).toMatchObject({ user: 'ada', theme: 'dark' })
    expect(await storedEnd(visit.sid)).toBeGreaterThan(Date.now())
  })

  it('ends an idle socket within seconds of the expiry of a session that was prolonged and not used since', async () => {
    const visit = await idle(false)
    const there = await onOtherNode(visit.browser)
    await prolong(visit, () => there.get('/session'))
    await Promise.all([expire(visit.sid), visit.gone])
    expect(visit.ended).toEqual([{ reason: 'expired' }])
  })

  it('ends sockets whose session a request on another node finds missing, and no save brings it back', async () => {
    const visit = await idle(100)
    const there = await onOtherNode(visit.browser)
    const second = await there.connect()
    await prolong(visit, () => there.get('/session'))
    const gone = next(second, 'disconnect')
    await expire(visit.sid)
    second.emit('set', 'user', 'undead')
    visit.client.emit('set', 'user', 'undead')
    await Promise.all([visit.gone, gone])
    expect((await there.get('/session')).body).not.toHaveProperty('user')
    expect(await storedEnd(visit.sid)).toBeNaN()
  })
}

await withService('Redis', startRedis, (redis) => {
  let client: TestClient
  beforeAll(async () => {
    client = await nodeRedis(redis().port)
  })
  afterAll(() => client.end())

  describe('a session in connect-redis, whose touch is EXPIRE alone', () => {
    describeExpiry({
      open: () => new RedisStore({ client: client.client }),
      async storedEnd(sid) {
        const stored = JSON.parse((await client.command('GET', `sess:${sid}`)) ?? '{}')
        return Date.parse(stored.cookie?.expires)
      },
      expire: (sid) => client.command('PEXPIRE', `sess:${sid}`, '1'),
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

  describe('a session in connect-pg-simple, whose touch writes expire alone', () => {
    describeExpiry({
      open: () => new (connectPgSimple(expressSession))({ pool, pruneSessionInterval: false }),
      async storedEnd(sid) {
        const { rows } = await pool.query('SELECT sess FROM session WHERE sid = $1 AND expire >= now()', [sid])
        return Date.parse(rows[0]?.sess.cookie.expires)
      },
      expire: (sid) => pool.query(`UPDATE session SET expire = now() - interval '1 second' WHERE sid = $1`, [sid]),
    })
  })
})
