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
  const ctx = await live({
    ...options,
    shared: { onEnd: 'keep', ...options.shared },
    connection(socket) {
      const session = socket.handshake.session as Record<string, any>
      for (const [name, handler] of Object.entries(handlers)) socket.on(name, (ack) => handler(session, ack, socket))
    },
  })
  const send = async (name: string): Promise<void> => {
    ctx.client.emit(name, (answer: unknown) => acks.push(answer))
    const arrived = next(ctx.socket, 'trip')
    ctx.client.emit('trip')
    await arrived
    await turns()
    const back = next(ctx.client, 'trip')
    ctx.socket.emit('trip')
    await back
  }
  return { ...ctx, acks, errors: collect(ctx.socket, 'session:error'), send }
}

const ended = ({ socket }: Pick<Live, 'socket'>): Promise<unknown> => next(socket, 'session:destroyed')

const write: Handler = (session, ack) => {
  session.x = 1
  ack('ok')
}

/** How a session ends without its socket's doing. */
const ends: Record<string, (ctx: Live) => unknown> = {
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
      const ctx = await kept({ write })
      const over = ended(ctx)
      await end(ctx)
      await over
      await ctx.send('write')
      expect(ctx.acks).toEqual([])
      expect(ctx.errors).toEqual([expect.objectContaining({ code: 'SESSION_ENDED' })])
      expect(ctx.errors[0]!.message).toMatch(/written to a session after its end/)
      // Where it was made.
      expect(ctx.errors[0]!.stack).toContain('late-writes.test.ts')
      await ctx.app.shared.flush()
      for (const id of ctx.store.ids()) expect(ctx.store.stored(id)).not.toHaveProperty('x')
    })
  }

  for (const [what, handler] of Object.entries(writes)) {
    for (const autoSave of [true, false]) {
      it(`${what}, ${autoSave ? 'with' : 'without'} autoSave`, async () => {
        const ctx = await kept({ handler }, { shared: { autoSave } })
        const over = ended(ctx)
        await ctx.browser.get('/destroy')
        await over
        await ctx.send('handler')
        expect(ctx.acks).toEqual([])
        expect(ctx.errors).toEqual([expect.objectContaining({ code: 'SESSION_ENDED' })])
      })
    }
  }

  it('is reported once for a handler that writes many keys, and again for the next handler', async () => {
    const ctx = await kept({
      many(session) {
        for (let key = 0; key < 10; key++) session[`k${key}`] = (session[`k${key}`] ?? 0) + 1
      },
    })
    const over = ended(ctx)
    await ctx.browser.get('/destroy')
    await over
    await ctx.send('many')
    expect(ctx.errors).toHaveLength(1)
    await ctx.send('many')
    expect(ctx.errors).toHaveLength(2)
  })

  it('is reported on shared.events, with the id of the session', async () => {
    const ctx = await kept({ write })
    const over = ended(ctx)
    await ctx.browser.get('/destroy')
    await over
    const told = next(ctx.app.shared.events, 'session:error')
    await ctx.send('write')
    expect(await told).toMatchObject({ code: 'SESSION_ENDED', sessionID: ctx.sid })
  })

  it('an ack of a handler that only reads is sent', async () => {
    const ctx = await kept({ read: (session, ack) => ack(session.user) })
    const over = ended(ctx)
    await ctx.browser.get('/destroy')
    await over
    await ctx.send('read')
    expect([ctx.acks, ctx.errors]).toEqual([['ada'], []])
  })

  it.each(['reconnect', 'disconnect'] as const)(
    'an ack of a handler that was running at the end, and only reads, leaves before the socket: onEnd %s',
    async (onEnd) => {
      const [running, over, acked] = [deferred(), deferred(), deferred()]
      const ctx = await kept(
        {
          async read(session, ack) {
            running.resolve()
            await over.promise
            ack(session.user)
            acked.resolve()
          },
          async write(session, ack) {
            await over.promise
            session.x = 1
            ack('ok')
          },
        },
        { shared: { onEnd } },
      )
      ctx.socket.on('session:destroyed', () => {
        over.resolve()
        return acked.promise
      })
      const gone = next(ctx.client, 'disconnect')
      for (const name of ['read', 'write']) ctx.client.emit(name, (answer: unknown) => ctx.acks.push(answer))
      await running.promise
      await ctx.browser.get('/destroy')
      await gone
      expect(ctx.acks).toEqual(['ada'])
      expect(ctx.errors).toEqual([expect.objectContaining({ code: 'SESSION_ENDED' })])
    },
  )

  it('a listener of session:error that writes to the ended session does not call itself for ever', async () => {
    const ctx = await kept({ write })
    ctx.socket.on('session:error', async () => {
      await new Promise(setImmediate)
      ctx.session.failures = (ctx.session.failures ?? 0) + 1
    })
    const over = ended(ctx)
    await ctx.browser.get('/destroy')
    await over
    await ctx.send('write')
    await turns(2000)
    const count = ctx.errors.length
    await turns(2000)
    expect(ctx.errors.length).toBe(count)
  })
})

describe('a socket that ends its session itself', () => {
  it('await session.destroy(); session.x = 1; ack(): the write is reported, the ack is not sent', async () => {
    const ctx = await kept({
      async destroy(session, ack) {
        await session.destroy()
        session.x = 1
        ack('ok')
      },
    })
    const told = next(ctx.socket, 'session:error')
    await ctx.send('destroy')
    expect(await told).toMatchObject({ code: 'SESSION_ENDED' })
    await ctx.send('trip')
    expect(ctx.acks).toEqual([])
    expect(ctx.store.ids()).toEqual([])
  })

  it('await session.destroy(); session.x = 1; ack() with the default onEnd: the write is reported, the ack is not sent', async () => {
    const ctx = await kept(
      {
        async destroy(session, ack) {
          await session.destroy()
          session.x = 1
          ack('ok')
        },
      },
      { shared: { onEnd: 'reconnect' } },
    )
    const gone = next(ctx.client, 'disconnect')
    ctx.client.emit('destroy', (answer: unknown) => ctx.acks.push(answer))
    await gone
    expect(ctx.acks).toEqual([])
    expect(ctx.errors).toEqual([expect.objectContaining({ code: 'SESSION_ENDED' })])
  })

  it('session.destroy(); session.x = 1; ack(), without waiting: the ack is not sent either', async () => {
    const ctx = await kept({
      destroy(session, ack) {
        session.destroy()
        session.x = 1
        ack('ok')
      },
    })
    const over = ended(ctx)
    await ctx.send('destroy')
    await over
    await ctx.send('trip')
    expect(ctx.acks).toEqual([])
    expect(ctx.errors).toEqual([expect.objectContaining({ code: 'SESSION_ENDED' })])
  })

  it('and whose destroy fails in the store: the write after that is saved and acknowledged', async () => {
    const ctx = await kept({
      async destroy(session, ack) {
        const destroyed = session.destroy()
        session.x = 1
        await destroyed.catch(() => undefined)
        ack('ok')
      },
    })
    ctx.store.fail('destroy')
    await ctx.send('destroy')
    expect(ctx.acks).toEqual(['ok'])
    expect(ctx.store.stored(ctx.sid)).toMatchObject({ x: 1 })
  })

  it('in one namespace: a write in another namespace is reported there, and not acknowledged', async () => {
    const acks: unknown[] = []
    const chats: Socket[] = []
    const ctx = await kept(
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
    const client = await letIn(ctx.client.io.socket('/chat', {}))
    const errors = collect(chats[0]!, 'session:error')
    const over = next(chats[0]!, 'session:destroyed')
    await ctx.send('destroy')
    await over
    expect(ctx.acks).toEqual([null])
    const back = next(client, 'trip')
    client.emit('write', (answer: unknown) => acks.push(answer))
    client.emit('trip')
    await back
    expect(acks).toEqual([])
    expect(errors).toEqual([expect.objectContaining({ code: 'SESSION_ENDED' })])
    expect(ctx.errors).toEqual([])
  })
})

describe('a session that ends under a write', () => {
  it('while the save of the write is due: the ack is not sent', async () => {
    const ctx = await kept({ write })
    const destroy = ctx.store.hold('destroy')
    const answered = ctx.browser.get('/destroy')
    await destroy.called
    await ctx.send('write')
    const over = ended(ctx)
    destroy.release()
    await Promise.all([over, answered])
    await ctx.send('trip')
    expect(ctx.acks).toEqual([])
  })

  it('without autoSave: a later save() whose result is ignored is reported, and its ack is not sent', async () => {
    const ctx = await kept(
      {
        write,
        save(session, ack) {
          session.save()
          ack('saved')
        },
      },
      { shared: { autoSave: false } },
    )
    await ctx.send('write')
    expect(ctx.acks).toEqual(['ok'])
    const over = ended(ctx)
    await ctx.browser.get('/destroy')
    await over
    expect(ctx.errors).toEqual([])
    await ctx.send('save')
    expect(ctx.acks).toEqual(['ok'])
    expect(ctx.errors).toEqual([expect.objectContaining({ code: 'SESSION_ENDED' })])
  })

  it('without unsaved writes: a later save() rejects, and its ack is sent if the handler sends it', async () => {
    const ctx = await kept({
      save: (session, ack) => session.save((error: SharedSessionError) => ack(error.code)),
    })
    const over = ended(ctx)
    await ctx.browser.get('/destroy')
    await over
    await ctx.send('save')
    expect([ctx.acks, ctx.errors]).toEqual([['SESSION_ENDED'], []])
  })

  it('shared.update() of the ended session rejects', async () => {
    const ctx = await kept({})
    const over = ended(ctx)
    await ctx.browser.get('/destroy')
    await over
    const error = await failure(ctx.app.shared.update<any>(ctx.socket, () => ({ x: 1 })))
    expect(error.code).toBe('SESSION_NOT_FOUND')
  })

  it('a raw object that was edited before the end counts as written before the end', async () => {
    let cart: any
    const ctx = await kept({
      start(session, ack) {
        cart = session.cart ??= { items: [] }
        ack('ok')
      },
      read: (_session, ack) => ack('read'),
    })
    await ctx.send('start')
    const destroyed = deferred()
    ctx.socket.prependListener('session:destroyed', () => destroyed.resolve())
    const answered = ctx.browser.get('/destroy')
    cart.items.push('x')
    await Promise.all([destroyed.promise, answered])
    await ctx.send('read')
    expect(ctx.acks).toEqual(['ok', 'read'])
  })
})

describe('a `disconnect` handler', () => {
  it('that writes: saved while the session is live, reported as a late write where it has ended', async () => {
    const ctx = await kept({}, { shared: { onEnd: 'reconnect' } })
    const other = await tab(ctx.app, ctx.browser)
    const errors = collect(other.socket, 'session:error')
    for (const { socket, session } of [ctx, other]) {
      socket.on('disconnect', () => {
        session.left = (session.left ?? 0) + 1
      })
    }
    let gone = next(ctx.socket, 'disconnect')
    ctx.client.disconnect()
    await gone
    await ctx.app.shared.flush()
    expect(ctx.store.stored(ctx.sid)).toMatchObject({ left: 1 })
    expect(ctx.errors).toEqual([])
    gone = next(other.socket, 'disconnect')
    await ctx.browser.get('/destroy')
    await gone
    expect(errors).toEqual([expect.objectContaining({ code: 'SESSION_ENDED' })])
    expect(ctx.store.ids()).toEqual([])
  })
})

it('a write in onAny after the end keeps back the ack of its event, and of no other', async () => {
  const ctx = await kept({ early: (_session, ack) => ack('early'), other: (_session, ack) => ack('other') })
  const over = ended(ctx)
  await ctx.app.shared.destroy(ctx.sid)
  await over
  ctx.socket.onAny((name) => name === 'early' && Object.assign(ctx.session, { early: 1 }))
  await ctx.send('early')
  await ctx.send('other')
  expect(ctx.acks).toEqual(['other'])
})
