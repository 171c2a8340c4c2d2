import { afterEach, describe, expect, it } from 'vitest'
import sharedsession from '../../src/index.js'
import { type App, closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { collectGarbage } from '../support/garbage.js'
import { thrown } from '../support/live.js'
import { until } from '../support/wait.js'

afterEach(closeApps)

const attached = (): Promise<App> =>
  startApp({
    wire(io, shared) {
      io.of('/before')
      expect(shared.attach(io)).toBe(io)
      shared.attach(io)
    },
  })

describe('attach()', () => {
  it.each(['/', '/before', '/after', '/dynamic-7'])('gives the sockets of %s their session', async (namespace) => {
    const app = await attached()
    app.io.of('/after')
    app.io.of(/^\/dynamic-\d+$/)
    const seen = new Promise((resolve) => {
      app.io.on('new_namespace', (created) => created.on('connection', (socket: any) => resolve(socket.handshake.session.user)))
      for (const name of ['/', '/before', '/after']) {
        app.io.of(name).on('connection', (socket: any) => resolve(socket.handshake.session.user))
      }
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    await browser.connect({ namespace })
    expect(await seen).toBe('ada')
  })

  it('runs the middleware before those that the namespaces have already', async () => {
    const order: unknown[] = []
    const app = await startApp({
      wire(io, shared) {
        io.use((socket: any, next) => {
          order.push(socket.handshake.session?.user)
          next()
        })
        io.use(shared)
        shared.attach(io)
      },
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    await browser.connect()
    expect(order).toEqual(['ada'])
  })

  it('is undone by close(): the namespaces have the middlewares that the application has used itself', async () => {
    const middlewares = (app: App, name: string): unknown[] => (app.io.of(name) as unknown as { _fns: unknown[] })._fns
    const app = await startApp({
      wire(io, shared) {
        io.of('/own').use(shared)
        shared.attach(io)
      },
    })
    const listeners = app.io.sockets.listenerCount('new_namespace' as never)
    await app.shared.close()
    expect(middlewares(app, '/')).toEqual([])
    expect(middlewares(app, '/own')).toEqual([app.shared])
    expect(app.io.sockets.listenerCount('new_namespace' as never)).toBe(listeners - 1)
    expect(thrown(() => app.shared.attach(app.io))).toMatchObject({ code: 'CLOSED' })
  })

  it('does not keep dynamic namespaces that socket.io has removed', async () => {
    const app = await startApp({
      io: { cleanupEmptyChildNamespaces: true },
      wire(io, shared) {
        io.of(/^\/dynamic-\d+$/)
        shared.attach(io)
      },
    })
    const first: WeakRef<object>[] = []
    app.io.on('new_namespace', (namespace) => {
      if (first.length === 0) first.push(new WeakRef(namespace))
    })
    for (let name = 0; name < 10; name++) {
      const client = await app.browser().connect({ namespace: `/dynamic-${name}` })
      client.disconnect()
      await until(() => !app.io._nsps.has(`/dynamic-${name}`))
    }
    await collectGarbage()
    expect(first[0]!.deref()).toBeUndefined()
  })

  it.each([undefined, null, {}, () => undefined])('takes a server, and not %s', async (io) => {
    const app = await attached()
    expect(thrown(() => app.shared.attach(io as never))).toMatchObject({ code: 'BAD_ARGUMENT' })
  })
})

it.each([
  [true, false],
  [false, true],
])(
  'its options count where the namespace uses another middleware of the same store itself: autoSave %s, there %s',
  async (own, there) => {
    const store = new ControlledStore()
    let session: any
    const app = await startApp({
      store,
      shared: { autoSave: own },
      wrap: (given) => {
        session = given
        return given
      },
      wire(io, shared) {
        const other = sharedsession(session, { autoSave: there })
        io.use(other)
        shared.attach(io)
      },
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const client = await browser.connect()
    const sets = store.count('set')
    await client.emitWithAck('set', 'x', 1)
    expect(store.count('set') - sets).toBe(own ? 1 : 0)
    await app.shared.session(app.sockets[0]!).save()
  },
)
