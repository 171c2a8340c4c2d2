import { afterEach, describe, expect, it } from 'vitest'
import { deferred, next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'
import { client, cookieOf, json, listen, scene, tidy } from './scene.js'
import { run } from './snippets.js'

afterEach(tidy)

describe('limits', () => {
  async function connected() {
    const around = scene()
    const url = await listen(around, around.shared)
    const socket = next(around.io, 'connection')
    client(url)
    return { ...around, session: around.shared.session(await socket), socket: await socket }
  }

  it('a direct store.set() is merged, and has taken effect by its callback, not before', async () => {
    const { session, store } = await connected()
    session.theme = 'dark'
    await session.save()
    const found = await new Promise<any>((resolve) => store.get(session.id, (_error, data) => resolve(data)))
    session.count = 1
    await session.save()
    found.credit = 7
    await new Promise((resolve) => store.set(session.id, found, resolve))
    expect(session).toMatchObject({ theme: 'dark', count: 1, credit: 7 })
    const { sessions } = store as unknown as { sessions: object }
    const set = new Promise((resolve) => store.set('new', { cookie: { originalMaxAge: null } }, resolve))
    expect(sessions).not.toHaveProperty('new')
    await set
    expect(sessions).toHaveProperty('new')
  })

  it('structuredClone is impossible; snapshot(), JSON and spread are not', async () => {
    const { session, shared, socket } = await connected()
    session.cart = { items: [] }
    expect(() => structuredClone(session)).toThrow('could not be cloned')
    expect(structuredClone(shared.snapshot(socket))).toEqual({ cart: { items: [] } })
    expect(JSON.parse(JSON.stringify(session))).toMatchObject({ cart: { items: [] } })
    expect({ ...session }.cart).toEqual({ items: [] })
  })

  it('a Date becomes a string, a Map {}, undefined and functions disappear', async () => {
    for (const key of ['date', 'map', 'call']) expectWarning(`values.${key} of a session was given`)
    const { session, shared, socket } = await connected()
    const values = { date: new Date(0), map: new Map([[1, 2]]), nothing: undefined, call: () => 1 }
    Object.assign(session, { values })
    await session.save()
    expect(shared.snapshot(socket)).toEqual({ values: { date: '1970-01-01T00:00:00.000Z', map: {} } })
  })

  it('a reference that was read stays good across an await', async () => {
    const { session, shared, socket } = await connected()
    session.cart = { items: [] }
    const { cart } = session
    await session.save()
    cart.items.push('apple')
    await session.save()
    expect(shared.snapshot(socket)).toEqual({ cart: { items: ['apple'] } })
  })

  it.each([
    ['replaces', { items: ['pear'] }, { items: ['pear', 'apple'] }],
    ['deletes', undefined, undefined],
  ])(
    'a reference that was read is no part of the session when another tab %s the object; the ack is sent',
    async (_what, cart, stored) => {
      const around = scene()
      const { io, shared } = around
      const [read, replaced] = [deferred(), deferred()]
      io.on('connection', (socket) => {
        const session = shared.session(socket)
        socket.on('add', async (ack) => {
          session.cart = { items: [] }
          const { cart } = session
          read.resolve()
          await replaced.promise
          cart.items.push('lost')
          session.cart?.items.push('apple')
          ack('done')
        })
        socket.on('replace', (ack) => {
          if (cart) session.cart = cart
          else delete session.cart
          ack()
        })
      })
      const url = await listen(around, shared)
      const cookie = cookieOf(await fetch(`${url}/start`))!
      const answer = client(url, cookie).emitWithAck('add')
      await read.promise
      await client(url, cookie).emitWithAck('replace')
      replaced.resolve()
      expect(await answer).toBe('done')
      expect((await json(`${url}/session`, cookie)).cart).toEqual(stored)
    },
  )

  it('raw objects: read back from the session after an await', async () => {
    const around = scene()
    around.io.on('connection', (socket) => {
      void run('raw', { ...around, socket })
    })
    const url = await listen(around, around.shared)
    const cookie = cookieOf(await fetch(`${url}/start`))!
    const saved = next(around.shared.events, 'session:saved')
    const socket = client(url, cookie)
    await next(socket, 'connect')
    socket.emit('cart:add', 'apple')
    await saved
    await around.shared.flush()
    const answer = () => json(`${url}/session`, cookie)
    await until(async () => (await answer()).cart?.items.length === 1)
    expect((await answer()).cart).toEqual({ items: [{ sku: 'apple', price: 3 }] })
  })
})
