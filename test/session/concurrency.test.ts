import type { Socket } from 'socket.io'
import { afterEach, describe, expect, it } from 'vitest'
import { closeApps } from '../support/app.js'
import { collect, visited } from '../support/live.js'
import { sidOf } from '../support/sid.js'
import { slowRoute } from '../support/slow-routes.js'
import { next } from '../support/wait.js'

afterEach(closeApps)

const keys = (count: number): string[] => Array.from({ length: count }, (_, index) => `key${index}`)

/** Sockets push and count by message. */
function pushing(socket: Socket): void {
  const { session } = socket.handshake as any
  socket.on('push', (value: unknown, ack: () => void) => {
    session.list ??= []
    session.list.push(value)
    ack()
  })
  socket.on('increment', (ack: () => void) => {
    session.count = (session.count ?? 0) + 1
    ack()
  })
  socket.on('delete', (key: string, ack: () => void) => {
    delete session[key]
    ack()
  })
}

describe('concurrent sockets of one session', () => {
  it('50 writing 50 different keys at once: all are stored', async () => {
    const { browser, stored } = await visited()
    const clients = await Promise.all(keys(50).map(() => browser.connect()))
    await Promise.all(keys(50).map((key, index) => clients[index]!.emitWithAck('set', key, index)))
    expect(stored()).toMatchObject({ user: 'ada', ...Object.fromEntries(keys(50).map((key, index) => [key, index])) })
  })

  it('10 incrementing one counter 10 times each: it is exact', async () => {
    const { browser, stored } = await visited({ connection: pushing })
    const clients = await Promise.all(keys(10).map(() => browser.connect()))
    await Promise.all(
      clients.map(async (client) => {
        for (let times = 0; times < 10; times++) await client.emitWithAck('increment')
      }),
    )
    expect(stored().count).toBe(100)
  })

  it('10 pushing into one array: all elements are there, once', async () => {
    const { browser, stored } = await visited({ connection: pushing })
    const clients = await Promise.all(keys(10).map(() => browser.connect()))
    await Promise.all(clients.map((client, index) => client.emitWithAck('push', index)))
    expect(stored().list.toSorted((a: number, b: number) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })
})

describe('concurrent sockets and HTTP requests of one session', () => {
  it('two requests that overlap and both increment a counter: one increment is lost, and the other keys are not', async () => {
    const slow = slowRoute((req) => {
      req.session.count = (req.session.count ?? 0) + 1
      req.session.slow = true
    })
    const { browser, stored } = await visited({
      routes(http) {
        slow.routes(http)
        http.get('/count', (req: any, res) => {
          req.session.count = (req.session.count ?? 0) + 1
          req.session.quick = true
          res.json({})
        })
      },
    })
    const answered = browser.get('/slow')
    await slow.arrived
    await browser.get('/count')
    slow.go()
    await answered
    expect(stored()).toMatchObject({ user: 'ada', count: 1, slow: true, quick: true })
  })

  it('25 sockets and 25 requests on 50 keys: all are stored, and live', async () => {
    const { browser, stored, app } = await visited()
    const clients = await Promise.all(keys(25).map(() => browser.connect()))
    await Promise.all([
      ...keys(25).map((key, index) => clients[index]!.emitWithAck('set', `socket-${key}`, index)),
      ...keys(25).map((key) => browser.get(`/set?http-${key}=x`)),
    ])
    const all = Object.fromEntries(
      keys(25).flatMap((key, index) => [
        [`socket-${key}`, index],
        [`http-${key}`, 'x'],
      ]),
    ) // prettier-ignore
    expect(stored()).toMatchObject({ user: 'ada', ...all })
    expect(app.shared.snapshot(app.sockets[0]!)).toEqual({ user: 'ada', ...all })
  })

  it('a slow request does not undo what a socket writes meanwhile', async () => {
    const slow = slowRoute((req) => {
      req.session.theme = 'dark'
    })
    const { browser, stored } = await visited({ routes: slow.routes })
    const client = await browser.connect()
    const answer = browser.get('/slow')
    await slow.arrived
    await client.emitWithAck('set', 'cart', [1])
    slow.go()
    await answer
    expect(stored()).toMatchObject({ user: 'ada', cart: [1], theme: 'dark' })
  })

  it('a slow save of a socket does not undo what a request writes meanwhile', async () => {
    const { browser, store, stored } = await visited()
    const client = await browser.connect()
    const set = store.hold('set')
    const ack = client.emitWithAck('set', 'cart', [1])
    await set.called
    const answer = browser.get('/set?theme=dark')
    set.release()
    await Promise.all([ack, answer])
    expect(stored()).toMatchObject({ user: 'ada', cart: [1], theme: 'dark' })
  })

  it('a socket save waits for a request that saves between its read and its write', async () => {
    const { browser, store, stored } = await visited()
    const client = await browser.connect()
    const get = store.hold('get', { afterwards: true })
    const ack = client.emitWithAck('set', 'cart', [1])
    await get.called
    const answer = browser.get('/set?theme=dark')
    get.release()
    await Promise.all([ack, answer])
    expect(stored()).toMatchObject({ user: 'ada', cart: [1], theme: 'dark' })
  })

  it('pushes into one array from both sides are all kept, once', async () => {
    const slow = slowRoute((req) => req.session.list.push('http'))
    const { browser, stored, app } = await visited({ routes: slow.routes, connection: pushing })
    const client = await browser.connect()
    await client.emitWithAck('push', 'first')
    const answer = browser.get('/slow')
    await slow.arrived
    await client.emitWithAck('push', 'socket')
    slow.go()
    await answer
    expect(stored().list.toSorted()).toEqual(['first', 'http', 'socket'])
    expect(app.shared.snapshot(app.sockets[0]!)).toMatchObject({ list: stored().list })
  })

  it('what a socket puts in the place of an element stays, where a request that had loaded that one removes it too', async () => {
    const slow = slowRoute((req) => req.session.list.pop())
    const { browser, stored, app } = await visited({
      routes: slow.routes,
      connection(socket: Socket) {
        pushing(socket)
        const { session } = socket.handshake as any
        socket.on('pop', (ack: () => void) => {
          session.list.pop()
          ack()
        })
      },
    })
    const client = await browser.connect()
    await client.emitWithAck('push', 'tea')
    await client.emitWithAck('push', 'pot')
    const answer = browser.get('/slow')
    await slow.arrived
    await client.emitWithAck('pop')
    await client.emitWithAck('push', 'cup')
    slow.go()
    await answer
    expect(stored().list).toEqual(['tea', 'cup'])
    expect(app.shared.snapshot(app.sockets[0]!)).toMatchObject({ list: ['tea', 'cup'] })
  })

  it('what a request deletes stays deleted, beside what a socket writes', async () => {
    const slow = slowRoute((req) => {
      delete req.session.user
    })
    const { browser, stored } = await visited({ routes: slow.routes })
    const client = await browser.connect()
    const answer = browser.get('/slow')
    await slow.arrived
    await client.emitWithAck('set', 'cart', [1])
    slow.go()
    await answer
    expect(stored()).toMatchObject({ cart: [1] })
    expect(stored()).not.toHaveProperty('user')
  })

  it('what a socket deletes stays deleted, beside what a request that had loaded it writes', async () => {
    const slow = slowRoute((req) => {
      req.session.theme = 'dark'
    })
    const { browser, stored } = await visited({ routes: slow.routes, connection: pushing })
    const client = await browser.connect()
    const answer = browser.get('/slow')
    await slow.arrived
    await client.emitWithAck('delete', 'user')
    slow.go()
    await answer
    expect(stored()).toMatchObject({ theme: 'dark' })
    expect(stored()).not.toHaveProperty('user')
  })
})

describe('two concurrent HTTP requests of one session', () => {
  it('that overlap: both writes are stored', async () => {
    const slow = slowRoute((req) => {
      req.session.slow = true
    })
    const { browser, stored } = await visited({ routes: slow.routes })
    const answer = browser.get('/slow')
    await slow.arrived
    await browser.get('/set?quick=true')
    slow.go()
    await answer
    expect(stored()).toMatchObject({ user: 'ada', slow: true, quick: 'true' })
  })

  it('with merge: false the later one replaces the document, as express-session does', async () => {
    const slow = slowRoute((req) => {
      req.session.slow = true
    })
    const { browser, stored } = await visited({ routes: slow.routes, shared: { merge: false } })
    const answer = browser.get('/slow')
    await slow.arrived
    await browser.get('/set?quick=true')
    slow.go()
    await answer
    expect(stored()).toMatchObject({ user: 'ada', slow: true })
    expect(stored()).not.toHaveProperty('quick')
  })

  it('that write the same key: the later save wins, and session:conflict reports it', async () => {
    const slow = slowRoute((req) => {
      req.session.user = 'slow'
    })
    const { app, browser, stored } = await visited({ routes: slow.routes })
    const conflict = next(app.shared.events, 'session:conflict')
    const answer = browser.get('/slow')
    await slow.arrived
    await browser.get('/set?user=quick')
    slow.go()
    await answer
    expect(stored().user).toBe('slow')
    expect(await conflict).toMatchObject({ path: ['user'], base: 'ada', mine: 'slow', theirs: 'quick', won: 'mine' })
  })
})

describe('read your writes', () => {
  it('a request right after an unacknowledged write waits for the save that is due', async () => {
    const { app, browser, store } = await visited()
    await browser.connect()
    const set = store.hold('set')
    ;(app.sockets[0]!.handshake as any).session.cart = [1]
    const answer = browser.get('/session')
    await set.called
    set.release()
    expect((await answer).body).toMatchObject({ cart: [1] })
  })

  it('a request does not wait for a save that the store does not answer until it is given up', async () => {
    const { app, browser, store } = await visited({ shared: { retry: { timeout: 15_000 } } })
    await browser.connect()
    const errors = collect(app.shared.events, 'session:error')
    const set = store.hold('set')
    ;(app.sockets[0]!.handshake as any).session.cart = [1]
    await set.called
    expect(await new Promise((resolve) => app.store.get(sidOf(browser), (_error, found) => resolve(found)))).toMatchObject({
      user: 'ada',
    })
    expect(errors).toEqual([])
    set.release()
    await app.shared.flush()
    expect(store.stored(sidOf(browser))).toMatchObject({ user: 'ada', cart: [1] })
  })
})
