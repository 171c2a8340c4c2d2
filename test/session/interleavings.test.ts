import { afterEach, describe, expect, it } from 'vitest'
import { type AppOptions, closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { sidOf, turnedAway } from '../support/handshake.js'
import { collect, live, turns, visited } from '../support/live.js'
import { SelfCallingStore } from '../support/stores.js'
import { deferred, next } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

const cartRoute: AppOptions['routes'] = (http) => {
  http.get('/add', (req, res) => {
    req.session.cart ??= { items: [] }
    req.session.cart.items.push('http')
    res.json({})
  })
}

describe("a handshake's read that is answered after a commit", () => {
  it('does not become the data of the live session', async () => {
    const { store, browser } = await visited()
    const get = store.hold('get', { afterwards: true })
    const connected = browser.connect()
    await get.called
    await browser.get('/set?theme=dark')
    get.release()
    const client = await connected
    expect(await client.emitWithAck('get')).toMatchObject({ theme: 'dark' })
  })

  it('loses no acknowledged write to a `??=` on what is not there yet', async () => {
    const { store, browser, sid } = await visited({
      routes: cartRoute,
      connection(socket) {
        const { session } = socket.handshake as any
        socket.on('add', (item, ack) => {
          session.cart ??= { items: [] }
          session.cart.items.push(item)
          ack('ok')
        })
      },
    })
    const get = store.hold('get', { afterwards: true })
    const connected = browser.connect()
    await get.called
    await browser.get('/add')
    get.release()
    const client = await connected
    await client.emitWithAck('add', 'socket')
    expect(store.stored(sid)!.cart.items).toEqual(['http', 'socket'])
  })

  it('does not take a live session back to the older state', async () => {
    const { store, app, browser } = await visited()
    const get = store.hold('get', { afterwards: true })
    const second = browser.connect()
    await get.called
    await browser.get('/set?theme=dark')
    const first = await browser.connect()
    const changes = collect(app.sockets[0]!, 'session:changed')
    get.release()
    await second
    expect(await first.emitWithAck('get')).toMatchObject({ theme: 'dark' })
    expect(changes).toEqual([])
  })

  /** A handshake whose first read a commit has overtaken, stopped at its second. */
  async function overtaken() {
    const ctx = await visited()
    const get = ctx.store.hold('get', { afterwards: true })
    const client = ctx.browser.open()
    await get.called
    await ctx.browser.get('/set?theme=dark')
    const again = ctx.store.hold('get', { afterwards: true })
    get.release()
    await again.called
    return { ...ctx, client, again }
  }

  it('is read again, and a destroy during that ends the socket', async () => {
    const { app, store, sid, client, again } = await overtaken()
    const gone = next(client, 'disconnect')
    const destroyed = app.shared.destroy(sid)
    again.release()
    await destroyed
    await gone
    expect(store.ids()).toEqual([])
    expect(app.shared.stats().sockets).toBe(0)
  })

  it('is read again, and where the store fails then, the client may come again', async () => {
    expectWarning('STORE_FAILED')
    const { app, client, again } = await overtaken()
    const gone = turnedAway(client)
    again.fail()
    await gone
    expect(app.shared.stats().sockets).toBe(0)
  })

  it('does not bring back what clear() took away meanwhile', async () => {
    const { app, store, browser } = await live()
    app.sockets[0]!.disconnect()
    const get = store.hold('get', { afterwards: true })
    const connected = browser.connect({ reconnection: true, reconnectionDelay: 1 })
    await get.called
    await new Promise<void>((resolve) => store.clear(() => resolve()))
    get.release()
    const client = await connected
    expect(await client.emitWithAck('get')).not.toMatchObject({ user: 'ada' })
  })
})

describe('a touch', () => {
  class InsertOnTouch extends ControlledStore {
    override touch(sid: string, session: any, callback?: any): void {
      this.set(sid, session, callback)
    }
  }

  it('by a request whose read was answered after the destroy brings nothing back', async () => {
    const store = new InsertOnTouch()
    const { app, browser, sid } = await visited({ store })
    const get = store.hold('get', { afterwards: true })
    const slow = browser.get('/session')
    await get.called
    await app.shared.destroy(sid)
    get.release()
    await slow
    expect(store.ids()).toEqual([])
  })

  it.each([InsertOnTouch, SelfCallingStore])(
    'by a slow request that only reads undoes no write, where it is a set: %o',
    async (Store) => {
      const store = new Store() as InsertOnTouch
      const [arrived, leave] = [deferred(), deferred()]
      const app = await startApp({
        store,
        routes(http) {
          http.get('/slow', async (_req, res) => {
            arrived.resolve()
            await leave.promise
            res.json({})
          })
        },
      })
      const browser = app.browser()
      await browser.get('/set?user=ada')
      const client = await browser.connect()
      const slow = browser.get('/slow')
      await arrived.promise
      await client.emitWithAck('set', 'x', 1)
      leave.resolve()
      await slow
      const stored = await new Promise((resolve) =>
        store.get(sidOf(browser), (_error: unknown, found: unknown) => resolve(found)),
      )
      expect(stored).toMatchObject({ x: 1 })
    },
  )
})

describe('a write that took effect although the store reports an error, and cannot be looked for', () => {
  it('of a socket is not done twice', async () => {
    const { store, session, sid } = await live()
    session.list = ['a']
    await session.save()
    const set = store.hold('set', { afterwards: true })
    session.list.push('b')
    const saved = session.save()
    await set.called
    store.fail('get')
    set.fail()
    await saved
    expect(store.stored(sid)!.list).toEqual(['a', 'b'])
  })

  it('of a request that saves again is not done twice', async () => {
    const { app, store, browser, sid } = await live({
      routes(http) {
        http.get('/push', async (req, res) => {
          req.session.list.push('b')
          const save = () => new Promise((resolve) => req.session.save(resolve))
          if (await save()) await save()
          res.json({})
        })
      },
    })
    const session = app.shared.session(app.sockets[0]!) as any
    session.list = ['a']
    await session.save()
    const set = store.hold('set', { afterwards: true })
    const pushed = browser.get('/push')
    await set.called
    store.fail('get')
    set.fail()
    await pushed
    expect(store.stored(sid)!.list).toEqual(['a', 'b'])
  })
})

describe('an ack that is called late', () => {
  it('is not sent when the save of what its handler wrote has failed for good', async () => {
    const { store, client, socket, session } = await live()
    const failed = next(socket, 'session:error')
    const answered: unknown[] = []
    const called = deferred()
    socket.on('write', (ack: any) => {
      session.x = 1
      failed.then(() => {
        ack('ok')
        called.resolve()
      })
    })
    store.down()
    client.emit('write', (answer: unknown) => answered.push(answer))
    await called.promise
    store.up()
    expect(await client.emitWithAck('get')).toBeDefined()
    expect(answered).toEqual([])
  })

  it('is not sent when the session was ended before the write was saved', async () => {
    const { store, client, socket, session, sid } = await live({ shared: { onEnd: 'keep' } })
    const ended = next(socket, 'session:destroyed')
    const answered: unknown[] = []
    const called = deferred()
    socket.on('write', (ack: any) => {
      session.x = 1
      ended.then(() => {
        ack('ok')
        called.resolve()
      })
    })
    store.gone(sid)
    client.emit('write', (answer: unknown) => answered.push(answer))
    await called.promise
    expect(await client.emitWithAck('get')).toBeDefined()
    expect(answered).toEqual([])
  })
})

it('a handler of session:conflict that writes runs once per conflict', async () => {
  const { app, store, session, sid, browser } = await live({
    routes(http) {
      http.get('/empty', (req, res) => {
        req.session.items = []
        res.json({})
      })
    },
  })
  Object.assign(session, { items: [{ id: 1, n: 0 }], log: [] })
  await session.save()
  app.shared.events.on('session:conflict', () => session.log.push('conflict'))
  const item = session.items[0]
  await browser.get('/empty')
  item.n = 5
  session.z = 1
  await session.save()
  await app.shared.flush()
  session.z = 2
  await session.save()
  expect(store.stored(sid)!.log).toEqual(['conflict'])
})

it('a write into an object that another writer removed is a conflict, also when nothing else is saved', async () => {
  const { app, session, browser } = await live({
    routes(http) {
      http.get('/empty', (req, res) => {
        req.session.items = []
        res.json({})
      })
    },
  })
  session.items = [{ id: 1, n: 0 }]
  await session.save()
  const conflicts = collect(app.shared.events as any, 'session:conflict')
  const item = session.items[0]
  await browser.get('/empty')
  item.n = 5
  await session.save()
  expect(conflicts).toHaveLength(1)
})

it('a socket that leaves another room before it is connected keeps its session', async () => {
  const { app, browser } = await visited({
    wire(io, shared) {
      io.use(shared)
      io.use((socket, done) => {
        socket.join('lobby')
        socket.leave('lobby')
        done()
      })
    },
  })
  await browser.connect()
  const changed = next(app.sockets[0]!, 'session:changed')
  await browser.get('/set?theme=dark')
  expect(await changed).toMatchObject({ keys: ['theme'] })
})

it('clear() without a callback ends the sockets', async () => {
  const { store, socket } = await live()
  const ended = next(socket, 'session:destroyed')
  store.clear()
  expect(await ended).toEqual({ reason: 'destroyed' })
  await turns()
})
