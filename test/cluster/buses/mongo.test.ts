import { EventEmitter } from 'node:events'
import { MongoClient } from 'mongodb'
import { MongoClient as MongoClient4 } from 'mongodb4'
import { MongoClient as MongoClient7 } from 'mongodb7'
import { ClusterAdapter } from 'socket.io-adapter'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Bus } from '../../../src/index.js'
import { MongoBus } from '../../../src/store/drivers/mongo/bus.js'
import {
  connectMongo4OnClient4,
  connectMongo5OnClient6,
  connectMongo6,
  connectMongo6OnClient7,
  mongoDbSession,
  type Open,
} from '../../store/drivers/mongo/fixture.js'
import { type App, type Browser, closeApps, startApp } from '../../support/app.js'
import { tab } from '../../support/live.js'
import { mongoUrl } from '../../support/mongo.js'
import { MongoWireServer } from '../../support/mongo-wire.js'
import { sidOf } from '../../support/sid.js'
import { next, until } from '../../support/wait.js'
import { describeBus } from './conformance.js'

/** A failure of a stream after which the clients do not go on by themselves. */
const BROKEN = { ok: 0, code: 4242, codeName: 'Made', errmsg: 'made to fail' }
const REFUSED = { code: 13, codeName: 'Unauthorized' }

const ends: (() => unknown)[] = []

afterEach(async () => {
  await closeApps()
  for (const end of ends.splice(0).reverse()) await end()
})

async function replicaSet(): Promise<MongoWireServer> {
  const server = await MongoWireServer.start({ isReplicaSet: true })
  ends.push(() => server.stop())
  return server
}

async function node({ port }: MongoWireServer, open: Open = connectMongo6, bus: 'mongodb' | false = 'mongodb'): Promise<App> {
  const { store, close } = await open(port)
  ends.push(close)
  const app = await startApp({ store, shared: { revalidate: false, touch: false } })
  if (bus) await until(() => app.shared.stats().bus === bus)
  return app
}

/** A tab of one visitor on each node. */
async function visitor(...apps: App[]) {
  const browser = apps[0]!.browser()
  await browser.get('/set?user=ada')
  const tabs = []
  for (const app of apps) tabs.push(await tab(app, Object.assign(app.browser(), { cookie: browser.cookie }) as Browser))
  return { browser, other: tabs[1]!, sid: sidOf(browser) }
}

describe.each<[string, Open]>([
  ['connect-mongo 6 on mongodb 6', connectMongo6],
  ['connect-mongo 6 on mongodb 7', connectMongo6OnClient7],
  ['connect-mongo 5 on mongodb 6', connectMongo5OnClient6],
  ['connect-mongo 4 on mongodb 4', connectMongo4OnClient4],
  ['connect-mongodb-session', mongoDbSession],
])('%s on a replica set', (_title, open) => {
  it('finds its bus by itself: a write and a logout are heard on the other node', async () => {
    const server = await replicaSet()
    const [one, two] = [await node(server, open), await node(server, open)]
    const { browser, other, sid } = await visitor(one, two)
    const changed = next(other.socket, 'session:changed')
    await browser.get('/set?theme=dark')
    expect(await changed).toMatchObject({ keys: ['theme'], origin: 'remote' })
    expect(other.session.theme).toBe('dark')
    const destroyed = next(other.socket, 'session:destroyed')
    await one.shared.destroy(sid)
    expect(await destroyed).toMatchObject({ reason: 'destroyed' })
  })
})

describe('connect-mongo on a replica set', () => {
  it('tells the other node that a session has a new id', async () => {
    const server = await replicaSet()
    const [one, two] = [await node(server), await node(server)]
    const { browser, other } = await visitor(one, two)
    const destroyed = next(other.socket, 'session:destroyed')
    await browser.get('/regenerate')
    expect(await destroyed).toMatchObject({ reason: 'regenerated' })
  })

  it('publishes neither an id nor what a session has, and keeps no message for ever', async () => {
    const server = await replicaSet()
    const [one, two] = [await node(server), await node(server)]
    const { browser, other, sid } = await visitor(one, two)
    const changed = next(other.socket, 'session:changed')
    await browser.get('/set?theme=dark')
    await changed
    const messages = JSON.stringify([...server.data.documents('sessions.messages').values()])
    expect(messages).toContain('"topic"')
    expect(messages).not.toMatch(new RegExp(`dark|theme|${sid}`))
    const indexes = server.commands.filter(({ createIndexes }) => createIndexes === 'sessions.messages')
    expect(indexes[0]?.indexes).toMatchObject([{ key: { at: 1 }, expireAfterSeconds: 60 }])
  })

  it.each([
    ['by the server', BROKEN],
    ['as MongoDB forgets a cursor', undefined],
  ])('misses nothing where a stream is broken %s', async (_title, failure) => {
    const server = await replicaSet()
    const [one, two] = [await node(server), await node(server)]
    const { browser, other } = await visitor(one, two)
    for (const value of ['1', '2', '3']) {
      const before = two.shared.stats().reads
      const changed = next(other.socket, 'session:changed')
      server.changeStreams.break(failure)
      await browser.get(`/set?n=${value}`)
      await changed
      expect(other.session.n).toBe(value)
      expect(two.shared.stats().reads - before).toBe(1)
    }
  })

  it('reads all live sessions where the server has lost the history', async () => {
    const server = await replicaSet()
    const [one, two] = [await node(server), await node(server)]
    const { browser, other } = await visitor(one, two)
    const { browser: second, other: another } = await visitor(one, two)
    const changes = [next(other.socket, 'session:changed'), next(another.socket, 'session:changed')]
    const { messages } = two.shared.stats()
    server.changeStreams.isDown = true
    server.changeStreams.break(BROKEN)
    await browser.get('/set?n=1')
    await second.get('/set?n=2')
    server.changeStreams.lose()
    server.changeStreams.isDown = false
    await Promise.all(changes)
    expect([other.session.n, another.session.n]).toEqual(['1', '2'])
    expect(two.shared.stats().messages).toBe(messages)
  })

  it('begins again where the collection of the messages was dropped', async () => {
    const server = await replicaSet()
    const [one, two] = [await node(server), await node(server)]
    const { browser, other } = await visitor(one, two)
    server.data.run('drop', { drop: 'sessions.messages', $db: 'test' })
    const indexes = () => server.commands.filter(({ createIndexes }) => createIndexes === 'sessions.messages').length
    await until(() => indexes() === 4)
    const changed = next(other.socket, 'session:changed')
    await browser.get('/set?n=1')
    await changed
    expect(other.session.n).toBe('1')
  })

  it('publishes what a node writes before it knows its bus', async () => {
    const server = await replicaSet()
    const two = await node(server)
    const { browser, other } = await visitor(two, two)
    server.changeStreams.isDown = true
    const one = await node(server, connectMongo6, false)
    const changed = next(other.socket, 'session:changed')
    await Object.assign(one.browser(), { cookie: browser.cookie }).get('/set?theme=dark')
    expect(one.shared.stats().bus).toBe(false)
    server.changeStreams.isDown = false
    expect(await changed).toMatchObject({ keys: ['theme'], origin: 'remote' })
  })

  it('ends its stream when it is closed', async () => {
    const server = await replicaSet()
    const one = await node(server)
    expect(server.changeStreams.open).toBe(1)
    await one.shared.close()
    await until(() => server.changeStreams.open === 0)
  })

  it.each(['aggregate', 'createIndexes'])('has no bus where the server refuses: %s', async (command) => {
    const server = await replicaSet()
    const { store, close } = await connectMongo6(server.port)
    ends.push(close)
    server.fail(command, REFUSED)
    const app = await startApp({ store, shared: { revalidate: false } })
    await until(() => server.changeStreams.open === 0 && server.isSpent)
    await until(() => server.changeStreams.open === 0 && server.isSpent)
    const { other } = await visitor(app, app)
    expect(other.session.user).toBe('ada')
    expect(other.session.user).toBe('ada')
    expect(app.shared.stats().bus).toBe(false)
  })
})

describe('connect-mongo on a standalone server', () => {
  it('has the adapter of Socket.IO as the bus, also where the server was there before the answer', async () => {
    const server = await MongoWireServer.start()
    ends.push(() => server.stop())
    const adapter = clusterAdapter()
    const nodes: App[] = []
    for (const _ of [1, 2]) {
      const { store, close } = await connectMongo6(server.port)
      ends.push(close)
      const app = await startApp({
        store,
        io: { adapter },
        wire: (io, shared) => shared.attach(io),
        shared: { revalidate: false },
      })
      await until(() => app.shared.stats().bus === 'adapter')
      nodes.push(app)
    }
    const { browser, other } = await visitor(...nodes)
    const changed = next(other.socket, 'session:changed')
    await browser.get('/set?theme=dark')
    expect(await changed).toMatchObject({ keys: ['theme'], origin: 'remote' })
    expect(server.data.documents('sessions.messages').size).toBe(0)
  })
})

describe('the bus of MongoDB', () => {
  it.each([
    ['mongodb 4', MongoClient4],
    ['mongodb 6', MongoClient],
    ['mongodb 7', MongoClient7],
  ])('is not there on a standalone server, and leaves nothing behind: %s', async (_title, Client: any) => {
    const server = await MongoWireServer.start()
    ends.push(() => server.stop())
    const bus = await busOn(server, Client)
    expect(await bus.isAvailable?.()).toBe(false)
    expect(server.commands.filter(({ createIndexes }) => createIndexes)).toEqual([])
  })

  it('waits for a server that is not there yet, until it is closed', async () => {
    const collection = vi.fn(async () => {
      throw Object.assign(new Error('down'), { name: 'MongoServerSelectionError' })
    })
    const bus = new MongoBus(collection)
    const answer = bus.isAvailable()
    await until(() => collection.mock.calls.length > 2)
    bus.close()
    expect(await answer).toBe(false)
  })
})

describe.each([
  ['mongodb 4', MongoClient4],
  ['mongodb 6', MongoClient],
  ['mongodb 7', MongoClient7],
])('%s', (title, Client: any) => {
  describeBus(`change streams, by ${title}`, async () => {
    const server = await MongoWireServer.start({ isReplicaSet: true })
    const buses = [await busOn(server, Client), await busOn(server, Client)] as const
    for (const bus of buses) expect(await bus.isAvailable?.()).toBe(true)
    return { buses, cut: () => server.changeStreams.lose(), end: () => server.stop() }
  })
})

/** An adapter that connects the servers of this process. */
function clusterAdapter(): any {
  const wire = new EventEmitter()
  return class extends ClusterAdapter {
    constructor(namespace: any) {
      super(namespace)
      wire.on('message', (message) => {
        if (message.nsp === namespace.name) this.onMessage(message)
      })
    }
    async doPublish(message: any): Promise<string> {
      wire.emit('message', message)
      return ''
    }
    async doPublishResponse(): Promise<void> {}
  }
}

async function busOn(server: MongoWireServer, Client: any): Promise<Bus> {
  const client = await Client.connect(mongoUrl(server.port))
  ends.push(() => client.close())
  const bus = new MongoBus(async () => client.db().collection('sessions.messages'))
  ends.push(() => bus.close())
  return bus
}
