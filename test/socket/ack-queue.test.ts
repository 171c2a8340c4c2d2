import { afterEach, describe, expect, it } from 'vitest'
import { type AppOptions, closeApps } from '../support/app.js'
import { type Live, live, QUICK, tab, turns } from '../support/live.js'
import { deferred, next } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

type Handler = (session: Record<string, any>, ack: (answer?: unknown) => void, socket: Live['socket']) => unknown

/** A live session whose client can call these handlers. */
function handling(handlers: Record<string, Handler>, options: AppOptions = {}): Promise<Live> {
  return live({
    ...options,
    connection(socket) {
      const session = socket.handshake.session as Record<string, any>
      for (const [name, handler] of Object.entries(handlers)) socket.on(name, (ack) => handler(session, ack, socket))
    },
  })
}

const write: Handler = (session, ack) => {
  session.n = (session.n ?? 0) + 1
  ack('written')
}
const read: Handler = (session, ack) => ack(session.n)

/** Sends an event and notes its ack in the list. */
function send({ client }: Pick<Live, 'client'>, name: string, acks: unknown[]): Promise<unknown> {
  return new Promise<void>((resolve) => {
    client.emit(name, (answer: unknown) => {
      acks.push(answer)
      resolve()
    })
  })
}

/** Resolves when the server has handled all that the client has sent, and what it sent itself has arrived. */
async function roundTrip({ client, socket }: Pick<Live, 'client' | 'socket'>): Promise<void> {
  const arrived = next(socket, 'trip')
  client.emit('trip')
  await arrived
  await turns()
  const back = next(client, 'trip')
  socket.emit('trip')
  await back
}

describe('held acks', () => {
  it('an ack is sent when what its handler wrote is in the store', async () => {
    const ctx = await handling({ write })
    const set = ctx.store.hold('set')
    const acks: unknown[] = []
    const done = send(ctx, 'write', acks)
    await set.called
    await roundTrip(ctx)
    expect(acks).toEqual([])
    set.release()
    await done
    expect(acks).toEqual(['written'])
    expect(ctx.store.stored(ctx.sid)).toMatchObject({ n: 1 })
  })

  it('acks of one socket are sent in the order in which they were called', async () => {
    const ctx = await handling({ write, read })
    const set = ctx.store.hold('set')
    const acks: unknown[] = []
    const done = [send(ctx, 'write', acks), send(ctx, 'read', acks), send(ctx, 'write', acks), send(ctx, 'read', acks)]
    await set.called
    await roundTrip(ctx)
    expect(acks).toEqual([])
    set.release()
    await Promise.all(done)
    expect(acks).toEqual(['written', 1, 'written', 2])
  })

  it('acks are sent in the order of their calls, even if the later one is called while the earlier one is being sent', async () => {
    const ctx = await handling({
      write,
      async behind(session, ack) {
        await session.save()
        for (let hop = 0; hop < 20; hop++) await null
        ack('behind')
      },
    })
    const set = ctx.store.hold('set')
    const acks: unknown[] = []
    const done = [send(ctx, 'write', acks), send(ctx, 'behind', acks)]
    await set.called
    await roundTrip(ctx)
    set.release()
    await Promise.all(done)
    expect(acks).toEqual(['written', 'behind'])
  })

  it('other emits are not held, nor are the acks of another socket', async () => {
    const ctx = await handling({ write, read })
    const other = await tab(ctx.app, ctx.browser)
    const set = ctx.store.hold('set')
    const acks: unknown[] = []
    const done = send(ctx, 'write', acks)
    await set.called
    const news = next(ctx.client, 'news')
    ctx.socket.emit('news', 1)
    expect(await news).toBe(1)
    expect(await other.client.emitWithAck('read')).toBe(1)
    expect(acks).toEqual([])
    set.release()
    await done
  })

  it('the ack of a handler that writes nothing is sent at once if nothing of its socket is unsaved', async () => {
    const ctx = await handling({ write, read })
    const other = await tab(ctx.app, ctx.browser)
    const set = ctx.store.hold('set')
    const done = send(ctx, 'write', [])
    await set.called
    expect(await other.client.emitWithAck('read')).toBe(1)
    set.release()
    await done
    expect(await ctx.client.emitWithAck('read')).toBe(1)
  })

  it('an ack waits for what its handler writes after an await too', async () => {
    const gate = deferred()
    const ctx = await handling({
      async later(session, ack) {
        await gate.promise
        session.n = 1
        ack('later')
      },
    })
    const set = ctx.store.hold('set')
    const acks: unknown[] = []
    const done = send(ctx, 'later', acks)
    gate.resolve()
    await set.called
    await roundTrip(ctx)
    expect(acks).toEqual([])
    set.release()
    await done
  })

  it('an ack waits for writes to a raw object: const cart = (session.cart ??= { items: [] }); cart.items.push(x); ack()', async () => {
    const ctx = await handling({
      add(session, ack) {
        // biome-ignore lint/suspicious/noAssignInExpressions: the expression yields the raw object, which is the point
        const cart = (session.cart ??= { items: [] })
        cart.items.push('x')
        ack('added')
      },
    })
    const set = ctx.store.hold('set')
    const acks: unknown[] = []
    const done = send(ctx, 'add', acks)
    await set.called
    await roundTrip(ctx)
    expect(acks).toEqual([])
    set.release()
    await done
    expect(ctx.store.stored(ctx.sid)!.cart).toEqual({ items: ['x'] })
  })

  it('an ack waits for a raw object that is changed after the save has begun', async () => {
    let cart: any
    const ctx = await handling({
      start(session, ack) {
        cart = session.cart ??= { items: [] }
        ack()
      },
      add(_session, ack) {
        cart.items.push('x')
        ack('added')
      },
    })
    await ctx.client.emitWithAck('start')
    expect(await ctx.client.emitWithAck('add')).toBe('added')
    expect(ctx.store.stored(ctx.sid)!.cart).toEqual({ items: ['x'] })
  })

  it('an ack is sent without a call of the store if the handler has undone its own change', async () => {
    const ctx = await handling({
      back(session, ack) {
        session.n = 1
        delete session.n
        ack('back')
      },
    })
    const calls = ctx.store.calls.length
    expect(await ctx.client.emitWithAck('back')).toBe('back')
    expect(ctx.store.calls.length).toBe(calls)
  })

  it('a held ack sends its arguments as they were when it was called', async () => {
    const ctx = await handling({
      two(session, ack) {
        session.n = 1
        ack(session.n)
        session.n = 2
      },
    })
    expect(await ctx.client.emitWithAck('two')).toBe(1)
  })
})

describe('acks and failing saves', () => {
  const retry = { ...QUICK, attempts: 2 }

  it('an ack is never sent if its save fails for good, and session:error reports it', async () => {
    const ctx = await handling({ write, read }, { shared: { retry } })
    const acks: unknown[] = []
    ctx.store.down()
    const told = next(ctx.socket, 'session:error')
    send(ctx, 'write', acks)
    expect(await told).toMatchObject({ code: 'SAVE_FAILED' })
    ctx.store.up()
    await roundTrip(ctx)
    expect(acks).toEqual([])
    // The client's timeout fires; later acks are not held for a write that nobody is going to save by itself.
    expect(await ctx.client.emitWithAck('read')).toBe(1)
    expect(acks).toEqual([])
  })

  it('an ack is sent after the retry that saves its writes', async () => {
    const ctx = await handling({ write }, { shared: { retry } })
    ctx.store.fail('set')
    expect(await ctx.client.emitWithAck('write')).toBe('written')
    expect(ctx.store.stored(ctx.sid)).toMatchObject({ n: 1 })
  })

  it('an ack is sent although an earlier one never is', async () => {
    expectWarning('SAVE_FAILED')
    const ctx = await handling({ write, read }, { shared: { retry: { ...QUICK, attempts: 1 } } })
    const acks: unknown[] = []
    const set = ctx.store.hold('set')
    send(ctx, 'write', acks)
    await set.called
    const behind = ctx.client.emitWithAck('write')
    await roundTrip(ctx)
    set.fail()
    expect(await behind).toBe('written')
    expect(acks).toEqual([])
    expect(ctx.store.stored(ctx.sid)).toMatchObject({ n: 2 })
  })
})

describe('acks without autoSave', () => {
  const shared = { autoSave: false }

  it('are not held for writes that no save is due for', async () => {
    const ctx = await handling({ write, read }, { shared })
    expect(await ctx.client.emitWithAck('write')).toBe('written')
    expect(await ctx.client.emitWithAck('read')).toBe(1)
    expect(ctx.store.stored(ctx.sid)).not.toHaveProperty('n')
    // Otherwise it warns when the socket has left.
    await ctx.session.save()
  })

  it('are held while a save() of the writes is under way', async () => {
    const ctx = await handling(
      {
        save(session, ack) {
          session.n = 1
          session.save()
          ack('saved')
        },
      },
      { shared },
    )
    const set = ctx.store.hold('set')
    const acks: unknown[] = []
    const done = send(ctx, 'save', acks)
    await set.called
    await roundTrip(ctx)
    expect(acks).toEqual([])
    set.release()
    await done
  })

  it('are not held for what is written after the call of save()', async () => {
    const ctx = await handling(
      {
        save(session, ack) {
          session.n = 1
          session.save()
          ack('saved')
        },
        write,
      },
      { shared },
    )
    await ctx.client.emitWithAck('save')
    expect(await ctx.client.emitWithAck('write')).toBe('written')
    expect(ctx.store.stored(ctx.sid)).toMatchObject({ n: 1 })
    // Otherwise it warns when the socket has left.
    await ctx.session.save()
  })

  it('are held for a save() that another socket of the session calls', async () => {
    const ctx = await handling({ write, read }, { shared })
    const other = await tab(ctx.app, ctx.browser)
    await ctx.client.emitWithAck('write')
    const set = ctx.store.hold('set')
    const saved = other.session.save()
    await set.called
    const acks: unknown[] = []
    const done = send(ctx, 'read', acks)
    await roundTrip(ctx)
    expect(acks).toEqual([])
    set.release()
    await Promise.all([saved, done])
  })
})

describe('acks and the end of the session', () => {
  const destroy: Handler = async (session, ack) => {
    session.n = 1
    await session.destroy()
    ack('destroyed')
  }

  it('an ack after session.destroy() in the handler is sent', async () => {
    const ctx = await handling({ destroy })
    expect(await ctx.client.emitWithAck('destroy')).toBe('destroyed')
  })

  it('an ack that was called before session.destroy() in the same handler is sent', async () => {
    const ctx = await handling({
      destroy(session, ack) {
        session.n = 1
        ack('destroying')
        session.destroy()
      },
    })
    expect(await ctx.client.emitWithAck('destroy')).toBe('destroying')
  })

  it('an ack that waits for a save is not sent if an HTTP request destroys the session', async () => {
    const ctx = await handling({ write }, { shared: { onEnd: 'keep' } })
    const acks: unknown[] = []
    const held = ctx.store.hold('destroy')
    const answered = ctx.browser.get('/destroy')
    await held.called
    send(ctx, 'write', acks)
    await roundTrip(ctx)
    const ended = next(ctx.socket, 'session:destroyed')
    held.release()
    await Promise.all([ended, answered])
    await roundTrip(ctx)
    expect(acks).toEqual([])
    expect(ctx.store.stored(ctx.sid)).toBeUndefined()
  })

  it('an ack that waits for a save is not sent if its socket failed to destroy the session and an HTTP request destroys it', async () => {
    const ctx = await handling(
      {
        fail: (session, ack) => session.destroy((error: { code: string }) => ack(error.code)),
        write,
      },
      { shared: { onEnd: 'keep' } },
    )
    ctx.store.fail('destroy')
    expect(await ctx.client.emitWithAck('fail')).toBe('STORE_FAILED')
    const acks: unknown[] = []
    const held = ctx.store.hold('destroy')
    const answered = ctx.browser.get('/destroy')
    await held.called
    send(ctx, 'write', acks)
    await roundTrip(ctx)
    const ended = next(ctx.socket, 'session:destroyed')
    held.release()
    await Promise.all([ended, answered])
    await roundTrip(ctx)
    expect(acks).toEqual([])
  })

  it('with onEnd keep, acks after the end of the session do not wait for writes that were lost before it', async () => {
    expectWarning('SESSION_ENDED')
    const ctx = await handling({ write, read }, { shared: { onEnd: 'keep' } })
    const acks: unknown[] = []
    const ended = next(ctx.socket, 'session:destroyed')
    await ctx.browser.get('/destroy')
    await ended
    send(ctx, 'write', acks)
    expect(await ctx.client.emitWithAck('read')).toBe(1)
    expect(acks).toEqual([])
  })

  it('a socket that disconnects while its ack is held causes no error', async () => {
    const ctx = await handling({ write })
    const set = ctx.store.hold('set')
    ctx.client.emit('write', () => {})
    await set.called
    const gone = next(ctx.socket, 'disconnect')
    ctx.client.disconnect()
    await gone
    set.release()
    await ctx.app.shared.flush()
    expect(ctx.store.stored(ctx.sid)).toMatchObject({ n: 1 })
  })
})

describe('holdAcks: false', () => {
  it('acks are sent at once', async () => {
    const ctx = await handling({ write }, { shared: { holdAcks: false } })
    const set = ctx.store.hold('set')
    expect(await ctx.client.emitWithAck('write')).toBe('written')
    expect(ctx.store.stored(ctx.sid)).not.toHaveProperty('n')
    set.release()
    await ctx.app.shared.flush()
    expect(ctx.store.stored(ctx.sid)).toMatchObject({ n: 1 })
  })
})
