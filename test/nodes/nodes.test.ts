import pg from 'pg'
import type { Socket } from 'socket.io-client'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startPostgres } from '../support/postgres.js'
import { startRedis } from '../support/redis.js'
import { withService } from '../support/service.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { next, until } from '../support/wait.js'
import { TestNode, Visitor } from './cluster.js'
import type { NodeOptions } from './node.js'

interface Service {
  port: number
  url: string
  pause(): void
  resume(): void
  restart(): Promise<void>
}

/** Sessions survive its restart. */
interface Kind {
  store: NodeOptions['store']
  isDurable: boolean
}

function describeNodes({ store, isDurable }: Kind, service: () => Service, redisUrl: () => string | undefined): void {
  const nodes: TestNode[] = []
  const visitors: Visitor[] = []
  let bus: TcpProxy
  let one: TestNode
  let two: TestNode

  beforeAll(async () => {
    bus = await TcpProxy.start(service().port)
    const adapterUrl = redisUrl()
    const common = { store, url: service().url, ...(adapterUrl && { adapterUrl }) }
    const busUrl = service().url.replace(`:${service().port}`, `:${bus.port}`)
    nodes.push(...(await Promise.all([TestNode.start(common), TestNode.start({ ...common, busUrl })])))
    ;[one, two] = nodes as [TestNode, TestNode]
  })

  afterEach(() => {
    for (const visitor of visitors.splice(0)) visitor.leave()
    // Nothing of all that came through the package.
    for (const node of nodes) expect(node.crashes).toEqual([])
  })

  afterAll(async () => {
    for (const node of nodes) await node.kill()
    await bus.stop()
  })

  async function visitor(): Promise<Visitor> {
    const visitor = new Visitor()
    visitors.push(visitor)
    await visitor.get(one, '/set?user=ada')
    return visitor
  }

  /** A socket. Its node is subscribed to the session before the socket connects. */
  function socketOn(node: TestNode, visitor: Visitor, namespace?: string): Promise<Socket> {
    return visitor.connect(node, namespace)
  }

  it('a socket on one node gets session:changed for what an HTTP request writes on the other', async () => {
    const ada = await visitor()
    const socket = await socketOn(two, ada)
    const changed = next(socket, 'changed')
    await ada.get(one, '/set?theme=dark')
    expect(await changed).toEqual({ keys: ['theme'], origin: 'remote', data: { user: 'ada', theme: 'dark' } })
  })

  it('a socket gets session:changed for what a socket on another node writes, and for update() on a node without a socket', async () => {
    const ada = await visitor()
    const socket = await socketOn(two, ada)
    const changed = next(socket, 'changed')
    await one.call('update', ada.sid, 'paid', true)
    expect(await changed).toMatchObject({ keys: ['paid'], origin: 'remote' })
    const other = await socketOn(one, ada)
    const heard = next(socket, 'changed')
    await other.emitWithAck('set', 'n', 1)
    expect(await heard).toMatchObject({ keys: ['n'], data: { n: 1 } })
  })

  it.each([
    ['/destroy', 'destroyed'],
    ['/regenerate', 'regenerated'],
  ])('%s on one node ends the idle sockets on the other', async (path, reason) => {
    const ada = await visitor()
    const sockets = [await socketOn(two, ada), await socketOn(two, ada, '/chat')]
    const ended = sockets.map((socket) => next(socket, 'ended'))
    const gone = sockets.map((socket) => next(socket, 'disconnect'))
    await ada.get(one, path)
    expect(await Promise.all(ended)).toEqual([reason, reason])
    await Promise.all(gone)
  })

  it('shared.destroy() ends the sockets everywhere, in every namespace', async () => {
    const ada = await visitor()
    const sockets = [await socketOn(one, ada), await socketOn(two, ada), await socketOn(two, ada, '/chat')]
    const ended = sockets.map((socket) => next(socket, 'ended'))
    const back = sockets.map((socket) => next(socket, 'disconnect').then(() => next(socket, 'connect')))
    await one.call('destroy', ada.sid)
    expect(await Promise.all(ended)).toEqual(['destroyed', 'destroyed', 'destroyed'])
    // With the cookie of a session that is no more.
    await Promise.all(back)
    expect(await sockets[1]!.emitWithAck('session')).toEqual({})
  })

  // The adapter is Redis's; what it does is the same for all stores.
  if (store === 'redis')
    it('io.of(namespace).to(shared.room(sid)) reaches the sockets of that namespace on all nodes', async () => {
      const [ada, eve] = [await visitor(), await visitor()]
      const sockets = [await socketOn(one, ada, '/chat'), await socketOn(two, ada, '/chat')]
      const others = [await socketOn(two, ada), await socketOn(two, eve, '/chat')]
      let wrong = 0
      for (const socket of others) socket.on('hello', () => wrong++)
      const heard = sockets.map((socket) => next(socket, 'hello'))
      await one.call('emit', '/chat', ada.sid, 'you')
      expect(await Promise.all(heard)).toEqual(['you', 'you'])
      // What was sent to the others before has come to them then.
      await Promise.all(others.map((socket) => socket.emitWithAck('session')))
      expect(wrong).toBe(0)
    })

  it('50 writers on two nodes lose nothing, and all sockets come to the same', async () => {
    const ada = await visitor()
    // Two that make the list at once would write to the same place.
    await ada.get(one, '/push?value=start')
    const sockets = await Promise.all(Array.from({ length: 50 }, (_, n) => ada.connect(n % 2 ? one : two)))
    const work: Promise<unknown>[] = sockets.flatMap((socket, n) => [
      socket.emitWithAck('push', n),
      socket.emitWithAck('set', `key${n}`, n),
    ])
    for (let n = 0; n < 10; n++) work.push(ada.get(n % 2 ? two : one, `/push?value=http${n}`))
    for (let n = 0; n < 10; n++) work.push((n % 2 ? two : one).call('increment', ada.sid))
    await Promise.all(work)
    const { cookie: _, ...stored } = await ada.get(one, '/session')
    expect(stored).toMatchObject({ user: 'ada', count: 10, hits: 50 })
    expect(stored.list).toHaveLength(61)
    expect(new Set(stored.list)).toEqual(
      new Set(['start', ...sockets.keys(), ...Array.from({ length: 10 }, (_, n) => `http${n}`)]),
    )
    for (const n of sockets.keys()) expect(stored[`key${n}`]).toBe(n)
    for (const node of nodes) await until(async () => isSame(await node.call('snapshot', ada.sid), stored))
  })

  it('a killed node: its sockets come back on another, and everything acknowledged is there', async () => {
    const third = await TestNode.start({ store, url: service().url })
    const ada = await visitor()
    const socket = await socketOn(third, ada)
    const witness = await socketOn(two, ada)
    for (let n = 0; n < 10; n++) await socket.emitWithAck('push', n)
    const gone = next(socket, 'disconnect')
    await third.kill()
    await gone
    socket.disconnect()
    const again = await ada.connect(two)
    const { list } = await again.emitWithAck('session')
    expect(list).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    const changed = next(witness, 'changed')
    await again.emitWithAck('push', 10)
    expect(await changed).toMatchObject({ data: { list: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10] } })
  })

  it('a paused node: its late writes merge, and what was destroyed meanwhile stays dead', async () => {
    const third = await TestNode.start({ store, url: service().url })
    nodes.push(third)
    const [ada, eve] = [await visitor(), await visitor()]
    const sockets = [await socketOn(third, ada), await socketOn(third, eve)]
    await sockets[0]!.emitWithAck('push', 'first')
    third.pause()
    // They are in its sockets when it wakes up.
    const late = [
      sockets[0]!.timeout(30_000).emitWithAck('push', 'late'),
      sockets[1]!.timeout(30_000).emitWithAck('push', 'dead'),
    ]
    late[1]!.catch(() => undefined)
    await ada.get(one, '/push?value=meanwhile')
    await ada.get(one, '/set?user=bob')
    await one.call('destroy', eve.sid)
    third.resume()
    await late[0]
    const stored = await ada.get(one, '/session')
    expect(stored.user).toBe('bob')
    expect(stored.list.toSorted()).toEqual(['first', 'late', 'meanwhile'])
    await expect(one.call('update', eve.sid, 'n', 1)).rejects.toThrow('SESSION_NOT_FOUND')
  })

  it('a bus that is cut: changes made meanwhile are found as soon as it is back', async () => {
    const [ada, eve] = [await visitor(), await visitor()]
    const socket = await socketOn(two, ada)
    const other = await socketOn(two, eve)
    const ended = next(other, 'ended')
    const changed = next(socket, 'changed', ({ keys }) => keys.includes('theme'))
    bus.down()
    await ada.get(one, '/set?theme=dark')
    await one.call('destroy', eve.sid)
    bus.up()
    expect(await changed).toMatchObject({ data: { theme: 'dark' } })
    expect(await ended).toBe('destroyed')
  })

  it('a bus that delivers nothing: changes are found within revalidate', async () => {
    const busUrl = service().url.replace(`:${service().port}`, `:${bus.port}`)
    const third = await TestNode.start({ store, url: service().url, busUrl, revalidate: 200 })
    nodes.push(third)
    const [ada, eve] = [await visitor(), await visitor()]
    const socket = await socketOn(third, ada)
    const other = await socketOn(third, eve)
    const ended = next(other, 'ended')
    const changed = next(socket, 'changed', ({ keys }) => keys.includes('theme'))
    bus.stall()
    try {
      await ada.get(one, '/set?theme=dark')
      await one.call('destroy', eve.sid)
      expect(await changed).toMatchObject({ data: { theme: 'dark' } })
      expect(await ended).toBe('destroyed')
    } finally {
      bus.resume()
    }
  })

  it('a frozen store server: what was written meanwhile is saved once, and reaches the other node, when the server is back', async () => {
    const ada = await visitor()
    const writer = await socketOn(one, ada)
    const reader = await socketOn(two, ada)
    const changed = next(reader, 'changed', ({ keys }) => keys.includes('list'))
    const { writes } = await one.call('stats')
    service().pause()
    const saved = writer.emitWithAck('push', 'frozen').catch((error) => error)
    try {
      await until(async () => (await one.call('stats')).writes > writes)
    } finally {
      service().resume()
    }
    expect(await saved).toBeUndefined()
    expect(await changed).toMatchObject({ data: { list: ['frozen'] } })
  })

  it('a restarted store server: writes and changes reach both nodes again', async () => {
    const ada = await visitor()
    const socket = await socketOn(two, ada)
    const ended = isDurable ? undefined : next(socket, 'ended')
    await service().restart()
    await until(async () => ada.get(one, '/set?back=yes').then(Boolean, () => false))
    // An empty Redis has no sessions.
    if (ended) expect(await ended).toBe('destroyed')
    const again = await visitor()
    const reader = await again.connect(two)
    const heard = next(reader, 'changed', ({ keys }) => keys.includes('theme'))
    await again.get(one, '/set?theme=dark')
    expect(await heard).toMatchObject({ data: { theme: 'dark' } })
  })
}

function isSame(a: object, b: object): boolean {
  const sorted = (data: object) => JSON.stringify(Object.entries(data).sort(([x], [y]) => (x < y ? -1 : 1)))
  return sorted(a) === sorted(b)
}

await withService('Redis', startRedis, (redis) => {
  describe('nodes on Redis', () => describeNodes({ store: 'redis', isDurable: false }, redis, () => redis().url))
})

await withService('Postgres', startPostgres, (postgres) => {
  beforeAll(async () => {
    const client = new pg.Client({ connectionString: postgres().url })
    await client.connect()
    await client.query('CREATE TABLE session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)')
    await client.end()
  })
  describe('nodes on Postgres', () => describeNodes({ store: 'postgres', isDurable: true }, postgres, () => undefined))
})
