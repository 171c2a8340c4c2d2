import type { Socket } from 'socket.io'
import { afterEach, describe, expect, it } from 'vitest'
import type { SharedSessionError } from '../../src/index.js'
import { type AppOptions, closeApps } from '../support/app.js'
import { letIn } from '../support/handshake.js'
import { collect, failure, type Live, live, tab, turns } from '../support/live.js'
import { deferred, next } from '../support/wait.js'

afterEach(closeApps)

type Ack = (answer?: unknown) => void
type Handler = (session: Record<string, any>, ack: Ack, socket: Socket) => unknown

interface Kept extends Live {
  /** What was acknowledged. */
  acks: unknown[]
  errors: SharedSessionError[]
  /** Sends an event; resolves when its handler has run, and all that was sent because of it has arrived. */
  send(name: string): Promise<void>
}

/** A live session whose sockets outlive it, and whose client can call these handlers. */
async function kept(handlers: Record<string, Handler>, options: AppOptions = {}): Promise<Kept> {
  const acks: unknown[] = []
  const it = await live({
    ...options,
    shared: { onEnd: 'keep', ...options.shared },
    connection(socket) {
      const session = socket.handshake.session as Record<string, any>
      for (const [name, handler] of Object.entries(handlers)) socket.on(name, (ack) => handler(session, ack, socket))
    },
  })
  const send = async (name: string): Promise<void> => {
    it.client.emit(name, (answer: unknown) => acks.push(answer))
    const arrived = next(it.socket, 'trip')
    it.client.emit('trip')
    await arrived
    await turns()
    const back = next(it.client, 'trip')
    it.socket.emit('trip')
    await back
  }
  return { ...it, acks, errors: collect(it.socket, 'session:error'), send }
}

const ended = ({ socket }: Pick<Live, 'socket'>): Promise<unknown> => next(socket, 'session:destroyed')

const write: Handler = (session, ack) => {
  session.x = 1
  ack('ok')
}

/** How a session ends without its socket's doing. */
const ends: Record<string, (it: Live) => unknown> = {
  'an HTTP request destroys it': ({ browser }) => browser.get('/destroy'),
  'an HTTP request regenerates it': ({ browser }) => browser.get('/regenerate'),
  'shared.destroy() ends it': ({ app, sid }) => app.shared.destroy(sid),
  'it expires': ({ app, store, sid }) => {
    const { cookie, ...data } = store.stored(sid)!
    store.foreign(sid, { ...data, cookie: { ...cookie, expires: new Date(0).toISOString() } })
    return new Promise((resolve) => app.store.get(sid, resolve))
  },
}

/** What a handler may do to a session. */
const writes: Record<string, Handler> = {
  'an assignment': write,
  'a deletion': (session, ack) => {
    delete session.user
    ack('ok')
  },
  'a change of its cookie': (session, ack) => {
    session.cookie.maxAge = 1234
    ack('ok')
  },
  'a raw object that is edited after its assignment': (session, ack) => {
    // biome-ignore lint/suspicious/noAssignInExpressions: the expression yields the raw object, which is the point
    const cart = (session.cart ??= { items: [] })
    cart.items.push('x')
    ack('ok')
  },
  'a write and a save() that nobody looks at': (session, ack) => {
    session.x = 1
    session.save()
    ack('ok')
  },
  async 'a write after an await'(session, ack) {
    await null
    session.x = 1
    ack('ok')
  },
}

describe('a write to a session that has ended is SESSION_ENDED, and its ack is not sent', () => {
  for (const [how, end] of Object.entries(ends)) {
    it(`where ${how}`, async () => {
      const it = await kept({ write })
      const over = ended(it)
      await end(it)
      await over
      await it.send('write')
      expect(it.acks).toEqual([])
      expect(it.errors).toEqual([expect.objectContaining({ code: 'SESSION_ENDED' })])
      expect(it.errors[0]!.message).toMatch(/written to a session after its end/)
      // Where it was made.
      expect(it.errors[0]!.stack).toContain('late-writes.test.ts')
      await it.app.shared.flush()
      for (const id of it.store.ids()) expect(it.store.stored(id)).not.toHaveProperty('x')
    })
  }

  for (const [what, handler] of Object.entries(writes)) {
    for (const autoSave of [true, false]) {
      it(`${what}, ${autoSave ? 'with' : 'without'} autoSave`, async () => {
        const it = await kept({ handler }, { shared: { autoSave } })
        const over = ended(it)
        await it.browser.get('/destroy')
        await over
        await it.send('handler')
        expect(it.acks).toEqual([])
        expect(it.errors).toEqual([expect.objectContaining({ code: 'SESSION_ENDED' })])
      })
    }
  }

  it('is told once for a handler that writes many keys, and again for the next one', async () => {
    const it = await kept({
      many(session) {
        for (let key = 0; key < 10; key++) session[`k${key}`] = (session[`k${key}`] ?? 0) + 1
      },
    })
    const over = ended(it)
    await it.browser.get('/destroy')
    await over
    await it.send('many')
    expect(it.errors).toHaveLength(1)
    await it.send('many')
    expect(it.errors).toHaveLength(2)
  })

  it('and on shared.events, with the id of the session', async () => {
    const it = await kept({ write })
    const over = ended(it)
    await it.browser.get('/destroy')
    await over
    const told = next(it.app.shared.events, 'session:error')
    await it.send('write')
    expect(await told).toMatchObject({ code: 'SESSION_ENDED', sessionID: it.sid })
  })

  it('an ack of a handler that only reads is sent', async () => {
    const it = await kept({ read: (session, ack) => ack(session.user) })
    const over = ended(it)
    await it.browser.get('/destroy')
    await over
    await it.send('read')
    expect([it.acks, it.errors]).toEqual([['ada'], []])
  })

  it('a listener of session:error that writes to the session does not call itself for ever', async () => {
    const it = await kept({ write })
    it.socket.on('session:error', async () => {
      await new Promise(setImmediate)
      it.session.failures = (it.session.failures ?? 0) + 1
    })
    const over = ended(it)
    await it.browser.get('/destroy')
    await over
    await it.send('write')
    await turns(2000)
    const count = it.errors.length
    await turns(2000)
    expect(it.errors.length).toBe(count)
  })
})

describe('a socket that ends its session itself', () => {
  it('await session.destroy(); session.x = 1; ack(): the write is told, the ack is not sent', async () => {
    const it = await kept({
      async destroy(session, ack) {
        await session.destroy()
        session.x = 1
        ack('ok')
      },
    })
    const told = next(it.socket, 'session:error')
    await it.send('destroy')
    expect(await told).toMatchObject({ code: 'SESSION_ENDED' })
    await it.send('trip')
    expect(it.acks).toEqual([])
    expect(it.store.ids()).toEqual([])
  })

  it('the same where it is to end with its session', async () => {
    const it = await kept(
      {
        async destroy(session, ack) {
          await session.destroy()
          session.x = 1
          ack('ok')
        },
      },
      { shared: { onEnd: 'reconnect' } },
    )
    const gone = next(it.client, 'disconnect')
    it.client.emit('destroy', (answer: unknown) => it.acks.push(answer))
    await gone
    expect(it.acks).toEqual([])
    expect(it.errors).toEqual([expect.objectContaining({ code: 'SESSION_ENDED' })])
  })

  it('session.destroy(); session.x = 1; ack(), without waiting: the ack is not sent either', async () => {
    const it = await kept({
      destroy(session, ack) {
        session.destroy()
        session.x = 1
        ack('ok')
      },
    })
    const over = ended(it)
    await it.send('destroy')
    await over
    await it.send('trip')
    expect(it.acks).toEqual([])
    expect(it.errors).toEqual([expect.objectContaining({ code: 'SESSION_ENDED' })])
  })

  it('where the store fails to destroy it, the write after that is saved and acknowledged', async () => {
    const it = await kept({
      async destroy(session, ack) {
        const destroyed = session.destroy()
        session.x = 1
        await destroyed.catch(() => undefined)
        ack('ok')
      },
    })
    it.store.fail('destroy')
    await it.send('destroy')
    expect(it.acks).toEqual(['ok'])
    expect(it.store.stored(it.sid)).toMatchObject({ x: 1 })
  })

  it('in one namespace: what it writes in the other one is told there, and not acknowledged', async () => {
    const acks: unknown[] = []
    const chats: Socket[] = []
    const it = await kept(
      { destroy: async (session, ack) => ack(await session.destroy()) },
      {
        wire(io, shared) {
          io.use(shared)
          io.of('/chat').use(shared)
          io.of('/chat').on('connection', (socket) => {
            chats.push(socket)
            socket.on('write', (ack) => write(socket.handshake.session as any, ack, socket))
            socket.on('trip', () => socket.emit('trip'))
          })
        },
      },
    )
    const client = await letIn(it.client.io.socket('/chat', {}))
    const errors = collect(chats[0]!, 'session:error')
    const over = next(chats[0]!, 'session:destroyed')
    await it.send('destroy')
    await over
    expect(it.acks).toEqual([null])
    const back = next(client, 'trip')
    client.emit('write', (answer: unknown) => acks.push(answer))
    client.emit('trip')
    await back
    expect(acks).toEqual([])
    expect(errors).toEqual([expect.objectContaining({ code: 'SESSION_ENDED' })])
    expect(it.errors).toEqual([])
  })
})

describe('a session that ends under a write', () => {
  it('whose save is due: the ack is not sent', async () => {
    const it = await kept({ write })
    const destroy = it.store.hold('destroy')
    const answered = it.browser.get('/destroy')
    await destroy.called
    await it.send('write')
    const over = ended(it)
    destroy.release()
    await Promise.all([over, answered])
    await it.send('trip')
    expect(it.acks).toEqual([])
  })

  it('without autoSave: a save() that comes after the end, and that nobody looks at, is told, and its ack is not sent', async () => {
    const it = await kept(
      {
        write,
        save(session, ack) {
          session.save()
          ack('saved')
        },
      },
      { shared: { autoSave: false } },
    )
    await it.send('write')
    expect(it.acks).toEqual(['ok'])
    const over = ended(it)
    await it.browser.get('/destroy')
    await over
    expect(it.errors).toEqual([])
    await it.send('save')
    expect(it.acks).toEqual(['ok'])
    expect(it.errors).toEqual([expect.objectContaining({ code: 'SESSION_ENDED' })])
  })

  it('a save() of a session without unsaved writes rejects, and its ack is the handler’s affair', async () => {
    const it = await kept({
      save: (session, ack) => session.save((error: SharedSessionError) => ack(error.code)),
    })
    const over = ended(it)
    await it.browser.get('/destroy')
    await over
    await it.send('save')
    expect([it.acks, it.errors]).toEqual([['SESSION_ENDED'], []])
  })

  it('update() rejects', async () => {
    const it = await kept({})
    const over = ended(it)
    await it.browser.get('/destroy')
    await over
    const error = await failure(it.app.shared.update<any>(it.socket, () => ({ x: 1 })))
    expect(error.code).toBe('SESSION_NOT_FOUND')
  })

  it('a raw object that was edited before the end was edited in time', async () => {
    let cart: any
    const it = await kept({
      start(session, ack) {
        cart = session.cart ??= { items: [] }
        ack('ok')
      },
      read: (_session, ack) => ack('read'),
    })
    await it.send('start')
    const destroyed = deferred()
    it.socket.prependListener('session:destroyed', () => destroyed.resolve())
    const answered = it.browser.get('/destroy')
    cart.items.push('x')
    await Promise.all([destroyed.promise, answered])
    await it.send('read')
    expect(it.acks).toEqual(['ok', 'read'])
  })
})

describe('a `disconnect` handler', () => {
  it('that writes is saved while the session is there, and told where it has ended', async () => {
    const it = await kept({}, { shared: { onEnd: 'reconnect' } })
    const other = await tab(it.app, it.browser)
    const errors = collect(other.socket, 'session:error')
    for (const { socket, session } of [it, other]) {
      socket.on('disconnect', () => {
        session.left = (session.left ?? 0) + 1
      })
    }
    let gone = next(it.socket, 'disconnect')
    it.client.disconnect()
    await gone
    await it.app.shared.flush()
    expect(it.store.stored(it.sid)).toMatchObject({ left: 1 })
    expect(it.errors).toEqual([])
    gone = next(other.socket, 'disconnect')
    await it.browser.get('/destroy')
    await gone
    expect(errors).toEqual([expect.objectContaining({ code: 'SESSION_ENDED' })])
    expect(it.store.ids()).toEqual([])
  })
})
