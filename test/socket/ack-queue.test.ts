import { afterEach, describe, expect, it } from 'vitest'
import { type AppOptions, closeApps } from '../support/app.js'
import { type Live, live, QUICK, tab, turns } from '../support/live.js'
import { deferred, next } from '../support/wait.js'

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
  it('an ack leaves when what its handler wrote is in the store', async () => {
    const it = await handling({ write })
    const set = it.store.hold('set')
    const acks: unknown[] = []
    const done = send(it, 'write', acks)
    await set.called
    await roundTrip(it)
    expect(acks).toEqual([])
    set.release()
    await done
    expect(acks).toEqual(['written'])
    expect(it.store.stored(it.sid)).toMatchObject({ n: 1 })
  })

  it('acks of one socket leave in the order in which they were called', async () => {
    const it = await handling({ write, read })
    const set = it.store.hold('set')
    const acks: unknown[] = []
    const done = [send(it, 'write', acks), send(it, 'read', acks), send(it, 'write', acks), send(it, 'read', acks)]
    await set.called
    await roundTrip(it)
    expect(acks).toEqual([])
    set.release()
    await Promise.all(done)
    expect(acks).toEqual(['written', 1, 'written', 2])
  })

  it('also where the later one is called in the moment in which the earlier one leaves', async () => {
    const it = await handling({
      write,
      async behind(session, ack) {
        await session.save()
        for (let hop = 0; hop < 20; hop++) await null
        ack('behind')
      },
    })
    const set = it.store.hold('set')
    const acks: unknown[] = []
    const done = [send(it, 'write', acks), send(it, 'behind', acks)]
    await set.called
    await roundTrip(it)
    set.release()
    await Promise.all(done)
    expect(acks).toEqual(['written', 'behind'])
  })

  it('other emits are not held, nor are the acks of another socket', async () => {
    const it = await handling({ write, read })
    const other = await tab(it.app, it.browser)
    const set = it.store.hold('set')
    const acks: unknown[] = []
    const done = send(it, 'write', acks)
    await set.called
    const news = next(it.client, 'news')
    it.socket.emit('news', 1)
    expect(await news).toBe(1)
    expect(await other.client.emitWithAck('read')).toBe(1)
    expect(acks).toEqual([])
    set.release()
    await done
  })

  it('an ack of a handler that writes nothing leaves at once when nothing of its socket is unsaved', async () => {
    const it = await handling({ write, read })
    const other = await tab(it.app, it.browser)
    const set = it.store.hold('set')
    const done = send(it, 'write', [])
    await set.called
    expect(await other.client.emitWithAck('read')).toBe(1)
    set.release()
    await done
    expect(await it.client.emitWithAck('read')).toBe(1)
  })

  it('waits also for what is written after an await', async () => {
    const gate = deferred()
    const it = await handling({
      async later(session, ack) {
        await gate.promise
        session.n = 1
        ack('later')
      },
    })
    const set = it.store.hold('set')
    const acks: unknown[] = []
    const done = send(it, 'later', acks)
    gate.resolve()
    await set.called
    await roundTrip(it)
    expect(acks).toEqual([])
    set.release()
    await done
  })

  it('waits for writes to a raw object: const c = (s.cart ??= { items: [] }); c.items.push(x); ack()', async () => {
    const it = await handling({
      add(session, ack) {
        // biome-ignore lint/suspicious/noAssignInExpressions: the expression yields the raw object, which is the point
        const cart = (session.cart ??= { items: [] })
        cart.items.push('x')
        ack('added')
      },
    })
    const set = it.store.hold('set')
    const acks: unknown[] = []
    const done = send(it, 'add', acks)
    await set.called
    await roundTrip(it)
    expect(acks).toEqual([])
    set.release()
    await done
    expect(it.store.stored(it.sid)!.cart).toEqual({ items: ['x'] })
  })

  it('a raw object changed after the save has begun is waited for too', async () => {
    let cart: any
    const it = await handling({
      start(session, ack) {
        cart = session.cart ??= { items: [] }
        ack()
      },
      add(_session, ack) {
        cart.items.push('x')
        ack('added')
      },
    })
    await it.client.emitWithAck('start')
    expect(await it.client.emitWithAck('add')).toBe('added')
    expect(it.store.stored(it.sid)!.cart).toEqual({ items: ['x'] })
  })

  it('an ack of there and back leaves, without a call of the store', async () => {
    const it = await handling({
      back(session, ack) {
        session.n = 1
        delete session.n
        ack('back')
      },
    })
    const calls = it.store.calls.length
    expect(await it.client.emitWithAck('back')).toBe('back')
    expect(it.store.calls.length).toBe(calls)
  })

  it('what the ack is given is what it had when it was called', async () => {
    const it = await handling({
      two(session, ack) {
        session.n = 1
        ack(session.n)
        session.n = 2
      },
    })
    expect(await it.client.emitWithAck('two')).toBe(1)
  })
})

describe('acks and failing saves', () => {
  const retry = { ...QUICK, attempts: 2 }

  it('if the save fails for good the ack is never sent, and session:error tells it', async () => {
    const it = await handling({ write, read }, { shared: { retry } })
    const acks: unknown[] = []
    it.store.down()
    const told = next(it.socket, 'session:error')
    send(it, 'write', acks)
    expect(await told).toMatchObject({ code: 'SAVE_FAILED' })
    it.store.up()
    await roundTrip(it)
    expect(acks).toEqual([])
    // The client's timeout fires; later acks are not held for a write that nobody is going to save by itself.
    expect(await it.client.emitWithAck('read')).toBe(1)
    expect(acks).toEqual([])
  })

  it('an ack that a retry saves is sent, after it', async () => {
    const it = await handling({ write }, { shared: { retry } })
    it.store.fail('set')
    expect(await it.client.emitWithAck('write')).toBe('written')
    expect(it.store.stored(it.sid)).toMatchObject({ n: 1 })
  })

  it('an ack called behind one that is never sent is sent', async () => {
    const it = await handling({ write, read }, { shared: { retry: { ...QUICK, attempts: 1 } } })
    const acks: unknown[] = []
    const set = it.store.hold('set')
    send(it, 'write', acks)
    await set.called
    const behind = it.client.emitWithAck('write')
    await roundTrip(it)
    set.fail()
    expect(await behind).toBe('written')
    expect(acks).toEqual([])
    expect(it.store.stored(it.sid)).toMatchObject({ n: 2 })
  })
})

describe('acks without autoSave', () => {
  const shared = { autoSave: false }

  it('are never held for writes that nobody is going to save', async () => {
    const it = await handling({ write, read }, { shared })
    expect(await it.client.emitWithAck('write')).toBe('written')
    expect(await it.client.emitWithAck('read')).toBe(1)
    expect(it.store.stored(it.sid)).not.toHaveProperty('n')
  })

  it('are held while a save() of the writes is under way', async () => {
    const it = await handling(
      {
        save(session, ack) {
          session.n = 1
          session.save()
          ack('saved')
        },
      },
      { shared },
    )
    const set = it.store.hold('set')
    const acks: unknown[] = []
    const done = send(it, 'save', acks)
    await set.called
    await roundTrip(it)
    expect(acks).toEqual([])
    set.release()
    await done
  })

  it('are not held for what is written after that save() was asked for', async () => {
    const it = await handling(
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
    await it.client.emitWithAck('save')
    expect(await it.client.emitWithAck('write')).toBe('written')
    expect(it.store.stored(it.sid)).toMatchObject({ n: 1 })
  })

  it('are held for a save that another socket of the session asks for', async () => {
    const it = await handling({ write, read }, { shared })
    const other = await tab(it.app, it.browser)
    await it.client.emitWithAck('write')
    const set = it.store.hold('set')
    const saved = other.session.save()
    await set.called
    const acks: unknown[] = []
    const done = send(it, 'read', acks)
    await roundTrip(it)
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
    const it = await handling({ destroy })
    expect(await it.client.emitWithAck('destroy')).toBe('destroyed')
  })

  it('so is one that was called before it, in the same handler', async () => {
    const it = await handling({
      destroy(session, ack) {
        session.n = 1
        ack('destroying')
        session.destroy()
      },
    })
    expect(await it.client.emitWithAck('destroy')).toBe('destroying')
  })

  it('an ack held by a write is not sent when somebody else destroys the session', async () => {
    const it = await handling({ write }, { shared: { onEnd: 'keep' } })
    const acks: unknown[] = []
    const held = it.store.hold('destroy')
    const answered = it.browser.get('/destroy')
    await held.called
    send(it, 'write', acks)
    await roundTrip(it)
    const ended = next(it.socket, 'session:destroyed')
    held.release()
    await Promise.all([ended, answered])
    await roundTrip(it)
    expect(acks).toEqual([])
    expect(it.store.stored(it.sid)).toBeUndefined()
  })

  it('nor when the socket had tried to destroy it and failed', async () => {
    const it = await handling(
      {
        fail: (session, ack) => session.destroy((error: { code: string }) => ack(error.code)),
        write,
      },
      { shared: { onEnd: 'keep' } },
    )
    it.store.fail('destroy')
    expect(await it.client.emitWithAck('fail')).toBe('STORE_FAILED')
    const acks: unknown[] = []
    const held = it.store.hold('destroy')
    const answered = it.browser.get('/destroy')
    await held.called
    send(it, 'write', acks)
    await roundTrip(it)
    const ended = next(it.socket, 'session:destroyed')
    held.release()
    await Promise.all([ended, answered])
    await roundTrip(it)
    expect(acks).toEqual([])
  })

  it('acks of a socket that is kept after the end do not hang on writes that went nowhere before', async () => {
    const it = await handling({ write, read }, { shared: { onEnd: 'keep' } })
    const acks: unknown[] = []
    const ended = next(it.socket, 'session:destroyed')
    await it.browser.get('/destroy')
    await ended
    send(it, 'write', acks)
    expect(await it.client.emitWithAck('read')).toBe(1)
    expect(acks).toEqual([])
  })

  it('a socket that disconnects while its ack is held hurts nobody', async () => {
    const it = await handling({ write })
    const set = it.store.hold('set')
    it.client.emit('write', () => {})
    await set.called
    const gone = next(it.socket, 'disconnect')
    it.client.disconnect()
    await gone
    set.release()
    await it.app.shared.flush()
    expect(it.store.stored(it.sid)).toMatchObject({ n: 1 })
  })
})

describe('holdAcks: false', () => {
  it('acks leave at once', async () => {
    const it = await handling({ write }, { shared: { holdAcks: false } })
    const set = it.store.hold('set')
    expect(await it.client.emitWithAck('write')).toBe('written')
    expect(it.store.stored(it.sid)).not.toHaveProperty('n')
    set.release()
    await it.app.shared.flush()
    expect(it.store.stored(it.sid)).toMatchObject({ n: 1 })
  })
})
