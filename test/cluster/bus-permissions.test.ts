import { createAdapter as postgresAdapter } from '@socket.io/postgres-adapter'
import connectPgSimple from 'connect-pg-simple'
import { RedisStore } from 'connect-redis'
import expressSession, { type Store } from 'express-session'
import { Client, Pool } from 'pg'
import { createClient } from 'redis'
import { afterEach, describe, expect, it } from 'vitest'
import { postgresBus, type SharedSessionOptions } from '../../src/index.js'
import { topicOf } from '../../src/store/topic.js'
import { adaptersOfToday, type Browser, closeApps, startApp } from '../support/app.js'
import { collect, tab, turns } from '../support/live.js'
import { MemoryBus } from '../support/memory-bus.js'
import { startPostgres } from '../support/postgres.js'
import { startRedis } from '../support/redis.js'
import { withService } from '../support/service.js'
import { sidOf } from '../support/sid.js'
import { until } from '../support/wait.js'

const ends: (() => unknown)[] = []

afterEach(async () => {
  await closeApps()
  for (const end of ends.splice(0).reverse()) await end()
})

/** Two nodes, a visitor's tab on the second one, and everything that was asked for is read. */
async function scene(storeOf: () => Store, options: () => SharedSessionOptions, io: () => object = () => ({})) {
  const nodes = [0, 1].map(() => {
    const store = storeOf()
    return startApp({ store, shared: { revalidate: false, touch: false, ...options() }, io: io() })
  })
  const [one, two] = [await nodes[0]!, await nodes[1]!]
  const browser = one.browser()
  await browser.get('/set?user=ada')
  const sid = sidOf(browser)
  const { session, socket } = await tab(two, Object.assign(two.browser(), { cookie: browser.cookie }) as Browser)
  await turns()
  const write = (data: object): Promise<unknown> =>
    one.shared.update(sid, (draft: any) => {
      Object.assign(draft, data)
    })
  const changes = collect(socket, 'session:changed')
  const keys = (): string[] => changes.flatMap((change) => change.keys)
  return { one, two, browser, sid, session, socket, write, keys, reads: () => two.shared.stats().reads }
}

/** What a listener makes of the last commit it has heard. */
function following(text: string): string {
  const { to, change } = JSON.parse(text)
  const patches = [{ op: 'add', path: ['role'], value: 'admin' }]
  const cookie = change?.cookie ?? { originalMaxAge: null, expires: null, httpOnly: true, path: '/' }
  const forged = { from: to, to: { v: to.v + 1, id: 'forged' }, change: { patches, cookie } }
  return JSON.stringify({ sharedsession: 1, node: 'forger', kind: 'commit', ...forged })
}

await withService('Postgres', startPostgres, (postgres) => {
  const urlOf = (user: string): string => postgres().url.replace('test@', `${user}@`)

  async function connected(user: string): Promise<Client> {
    const client = new Client({ connectionString: urlOf(user) })
    await client.connect()
    ends.push(() => client.end())
    return client
  }

  function pool(): Pool {
    const made = new Pool({ connectionString: postgres().url, max: 4 })
    made.on('error', () => undefined)
    ends.push(() => made.end())
    return made
  }

  /** Nodes on Postgres, and a role of the same database that was granted nothing. */
  async function besides(adapter?: (pool: Pool) => unknown) {
    const owner = await connected('test')
    await owner.query(
      'CREATE TABLE IF NOT EXISTS session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)',
    )
    await owner.query('DO $$ BEGIN CREATE ROLE stranger LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$')
    let shared: Pool
    const storeOf = (): Store => {
      shared = pool()
      return new (connectPgSimple(expressSession))({ pool: shared, pruneSessionInterval: false })
    }
    const nodes = adapter
      ? await scene(
          storeOf,
          () => ({}),
          () => ({ adapter: adapter(shared) }),
        )
      : await scene(storeOf, () => ({ bus: postgresBus({ pool: shared }) }))
    const stranger = await connected('stranger')
    const heard: string[] = []
    stranger.on('notification', ({ payload }) => heard.push(payload ?? ''))
    for (let channel = 0; channel < 64; channel++) await stranger.query(`LISTEN sharedsession_${channel}`)
    const tell = async (payload: string): Promise<void> => {
      for (let channel = 0; channel < 64; channel++) {
        await stranger.query('SELECT pg_notify($1, $2)', [`sharedsession_${channel}`, payload])
      }
    }
    return { ...nodes, owner, stranger, heard, tell }
  }

  describe('a role that may not read the sessions, on the same database', () => {
    it('receives that a session changed, and nothing of its data', async () => {
      const { stranger, heard, write, session, sid } = await besides()
      await expect(stranger.query('SELECT * FROM session')).rejects.toMatchObject({ code: '42501' })
      await write({ secret: 'hunter2' })
      await until(() => session.secret === 'hunter2' && heard.length > 0)
      session.mine = 'hunter3'
      await session.save()
      await until(() => heard.length > 1)
      for (const text of heard) {
        for (const private_ of ['hunter', 'secret', 'mine', 'patches', 'cookie', sid]) expect(text).not.toContain(private_)
      }
    })

    it('may forge a commit that follows on the last one: it is not applied, the session is read', async () => {
      const { heard, write, session, tell, keys, reads } = await besides()
      await write({ a: 1 })
      await until(() => session.a && heard.length > 0)
      const [topic, text] = heard.at(-1)!.split(/ (.*)/s) as [string, string]
      const before = reads()
      await tell(`${topic} ${following(text)}`)
      await until(() => reads() > before)
      await write({ b: 1 })
      await until(() => session.b)
      expect(session.role).toBeUndefined()
      expect(keys()).not.toContain('role')
    })

    it('may forge the end of a session: the session goes on', async () => {
      const { heard, write, session, socket, tell, reads } = await besides()
      const ended = collect(socket, 'session:destroyed')
      await write({ a: 1 })
      await until(() => session.a && heard.length > 0)
      const [topic] = heard.at(-1)!.split(' ')
      const before = reads()
      for (const reason of ['destroyed', 'regenerated']) {
        await tell(`${topic} ${JSON.stringify({ sharedsession: 1, node: 'x', kind: 'end', reason, answered: true })}`)
      }
      await until(() => reads() > before)
      await write({ b: 1 })
      await until(() => session.b)
      expect(ended).toEqual([])
    })
  })

  it.runIf(adaptersOfToday)("receives no more by socket.io's Postgres adapter, and cannot forge more", async () => {
    const { write, session, stranger, one, two, sid, keys, reads } = await besides((shared) =>
      postgresAdapter(shared as never, { heartbeatInterval: 100, errorHandler: () => undefined }),
    )
    await until(async () => (await one.io.of('/').adapter.serverCount()) === 2)
    await one.browser().connect()
    const heard = collect<{ payload: string }>(stranger as never, 'notification')
    await stranger.query('LISTEN "socket.io#/"')
    await write({ secret: 'hunter2' })
    await until(() => session.secret)
    const told = (): string | undefined => heard.find(({ payload }) => payload.includes('commit'))?.payload
    await until(() => told() !== undefined)
    for (const { payload } of heard) for (const each of ['hunter', 'secret"', sid]) expect(payload).not.toContain(each)
    const packet = JSON.parse(told()!)
    const [event, topic, text] = packet.data.packet
    const before = reads()
    packet.data.packet = [event, topic, following(text)]
    await stranger.query('SELECT pg_notify($1, $2)', ['socket.io#/', JSON.stringify(packet)])
    await until(() => reads() > before)
    await write({ last: 1 })
    await until(() => session.last)
    // The read that the forged message asked for can be what shows the last write first.
    await until(() => two.shared.stats().messages > 2)
    expect(session.role).toBeUndefined()
    expect(keys()).not.toContain('role')
  })

  it('somebody on another bus, without rights to the database, receives no data and cannot forge data', async () => {
    const network = new MemoryBus()
    const stranger = network.end()
    const { write, session, sid, keys, reads } = await scene(
      () => new (connectPgSimple(expressSession))({ pool: pool(), createTableIfMissing: true, pruneSessionInterval: false }),
      () => ({ bus: network.end() }),
    )
    const heard: string[] = []
    stranger.start({ heard: (_topic, text) => void heard.push(text), gap: () => undefined })
    const topic = topicOf(sid)
    await stranger.subscribe(topic)
    await write({ secret: 'hunter2' })
    await until(() => session.secret && heard.length > 0)
    for (const text of heard) for (const each of ['hunter', 'secret', 'patches']) expect(text).not.toContain(each)
    const before = reads()
    await stranger.publish(topic, following(heard.at(-1)!))
    await until(() => reads() > before)
    expect(session.role).toBeUndefined()
    expect(keys()).not.toContain('role')
  })

  it('a session whose turn does not come does not keep others from being read', async () => {
    const { owner, two, sid, session, one, stranger, write } = await besides()
    const other = one.browser()
    await other.get('/set?user=eve')
    const second = await tab(two, Object.assign(two.browser(), { cookie: other.cookie }) as Browser)
    await turns()
    await owner.query('BEGIN')
    await owner.query('SELECT * FROM session WHERE sid = $1 FOR UPDATE', [sid])
    session.mine = 1
    const saved = session.save()
    await turns()
    // Of a session that somebody holds locked.
    const topic = topicOf(sid)
    const before = two.shared.stats().messages
    for (let channel = 0; channel < 64; channel++) {
      await stranger.query('SELECT pg_notify($1, $2)', [`sharedsession_${channel}`, `${topic} {}`])
    }
    await until(() => two.shared.stats().messages > before)
    await other.get('/set?theme=dark')
    await until(() => second.session.theme === 'dark')
    await owner.query('COMMIT')
    await saved
    await write({ last: 1 })
    await until(() => session.last)
  })
})

await withService('Redis', startRedis, (redis) => {
  async function connected(user?: string): Promise<any> {
    const client = createClient({ url: redis().url, ...(user && { username: user, password: 'secret' }) })
    client.on('error', () => undefined)
    await client.connect()
    ends.push(() => client.destroy())
    return client
  }

  /** Nodes on Redis, and a user of it that may do no more than that. */
  async function besides(rights: string[], options: SharedSessionOptions = {}) {
    const owner = await connected()
    await owner.sendCommand(['ACL', 'SETUSER', 'stranger', 'reset', 'on', '>secret', ...rights])
    const nodes = await scene(
      () => new RedisStore({ client: owner }),
      () => options,
    )
    const stored = async (): Promise<any> => JSON.parse(await owner.get(`sess:${nodes.sid}`))
    return { ...nodes, owner, stranger: await connected('stranger'), stored, topic: topicOf(`sess:${nodes.sid}`) }
  }

  describe('a user that may only publish', () => {
    it('receives nothing, and changes nothing: it can only make a node read a session whose id it knows', async () => {
      const { stranger, sid, topic, write, session, keys, reads } = await besides(['allchannels', '+publish'])
      for (const command of [
        ['GET', `sess:${sid}`],
        ['KEYS', '*'],
        ['PUBSUB', 'CHANNELS'],
        ['PSUBSCRIBE', '*'],
      ]) {
        await expect(stranger.sendCommand(command)).rejects.toThrow(/NOPERM/)
      }
      await write({ a: 1 })
      await until(() => session.a)
      const before = reads()
      // The name of the last commit is not known to it.
      const guess = JSON.stringify({ to: { v: 2, id: 'guess' } })
      expect(await stranger.sendCommand(['PUBLISH', topic, following(guess)])).toBe(1)
      await until(() => reads() > before)
      expect(session.role).toBeUndefined()
      expect(keys()).not.toContain('role')
    })
  })

  describe('a user that may listen and publish, and has no key', () => {
    it('receives changes, and can forge one that is visible until the store is read, and is never stored', async () => {
      const { stranger, write, session, stored, topic } = await besides(['allchannels', '+publish', '+psubscribe', '+ping'], {
        revalidate: 200,
      })
      const listening = await connected('stranger')
      const heard: string[] = []
      await listening.pSubscribe('sharedsession:*', (text: string) => heard.push(text))
      await write({ secret: 'hunter2' })
      await until(() => heard.length > 0)
      expect(heard.at(-1)).toContain('hunter2')
      await until(() => session.secret)
      await stranger.publish(topic, following(heard.at(-1)!))
      await until(() => session.role === 'admin')
      await until(() => session.role === undefined)
      session.mine = 1
      await session.save()
      expect(await stored()).toMatchObject({ mine: 1, secret: 'hunter2' })
      expect(await stored()).not.toHaveProperty('role')
    })
  })

  it('a user with other channels neither receives nor reaches a session', async () => {
    const { stranger, topic } = await besides(['resetchannels', '&other:*', '+publish', '+subscribe', '+psubscribe'])
    await expect(stranger.sendCommand(['PUBLISH', topic, '{}'])).rejects.toThrow(/NOPERM/)
    await expect(stranger.sendCommand(['SUBSCRIBE', topic])).rejects.toThrow(/NOPERM/)
    await expect(stranger.sendCommand(['PSUBSCRIBE', '*'])).rejects.toThrow(/NOPERM/)
  })
})
