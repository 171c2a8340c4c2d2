import type { Socket } from 'socket.io'
import { afterEach, describe, expect, it } from 'vitest'
import { closeApps } from '../support/app.js'
import { collect, failure, live, turns } from '../support/live.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

/** Nested so many times, as text: a client's own encoder is recursive. */
const nested = (levels: number): any => JSON.parse('['.repeat(levels) + ']'.repeat(levels))

/** Runs the handler with values of the server's own making; the client cannot send all of them. */
async function handling(handler: (session: any, value: any) => void, value: () => unknown = () => undefined) {
  const found = await live()
  const told = collect(found.socket, 'session:error')
  const uncaught = collect(process, 'uncaughtException')
  found.socket.on('go', (ack: (n: number) => void) => {
    handler(found.session, value())
    ack(1)
  })
  const acked: number[] = []
  found.client.emit('go', (n: number) => acked.push(n))
  // The next event's ack leaves after that one's would have.
  await found.client.emitWithAck('set', 'next', 1)
  await expect.poll(() => found.store.stored(found.sid)).toMatchObject({ next: 1 })
  return { ...found, told, uncaught, acked }
}

type Handler = (session: any, value: any) => void

const assign: Handler = (session, value) => {
  session.userdata = value
}
const put =
  (key: string, value: unknown): Handler =>
  (session) => {
    session[key] = value
  }
const inList =
  (change: (list: any) => void): Handler =>
  (session) => {
    session.list = [1]
    change(session.list)
  }

const REFUSED: Record<string, [code: string, path: string, handler: Handler, value?: () => unknown]> = {
  "the migration example's assignment, nested too deep": ['NOT_STORABLE', 'userdata[0]', assign, () => nested(1001)],
  'nested far deeper': ['NOT_STORABLE', 'userdata[0]', assign, () => nested(300_000)],
  'deep in a new list': [
    'NOT_STORABLE',
    'list[1][0]',
    (session, value) => inList((list) => list.push(value))(session, 0),
    () => nested(5000),
  ],
  'deep in an assigned object': [
    'NOT_STORABLE',
    'raw.value[0]',
    (session, value) => {
      session.raw = {}
      session.raw.value = value
    },
    () => nested(5000),
  ],
  'deep behind a reference to an assigned object': [
    'NOT_STORABLE',
    'raw.value[0]',
    (session, value) => {
      const raw: any = {}
      session.raw = raw
      raw.value = value
    },
    () => nested(5000),
  ],
  'an own __proto__ in a value': ['RESERVED_KEY', 'userdata.__proto__', assign, () => JSON.parse('{"__proto__":1}')],
  'an own __proto__ merged in': [
    'RESERVED_KEY',
    '__proto__',
    (session, value) => void Object.assign(session, value),
    () => JSON.parse('{"__proto__":{}}'),
  ],
  'a member, by a key of the client': ['RESERVED_KEY', 'save', put('save', 1)],
  'a method of every object': ['RESERVED_KEY', 'hasOwnProperty', put('hasOwnProperty', 1)],
  'another cookie': ['RESERVED_KEY', 'cookie', put('cookie', { path: '/' })],
  'a removed member': [
    'RESERVED_KEY',
    'touch',
    (session) => {
      delete session.touch
    },
  ],
  'a cycle': [
    'NOT_STORABLE',
    'self',
    (session) => {
      session.self = session
    },
  ],
  'a BigInt': ['NOT_STORABLE', 'n', put('n', 1n)],
  'a name in an array': [
    'NOT_STORABLE',
    'list.save',
    inList((list) => {
      list.save = 1
    }),
  ],
  'a length that is none': [
    'NOT_STORABLE',
    'list.length',
    inList((list) => {
      list.length = 'x'
    }),
  ],
  'a huge index': [
    'TOO_LARGE',
    'list[4000000000]',
    inList((list) => {
      list[4_000_000_000] = 1
    }),
  ],
  'a huge index of an array that was just assigned, which is then written to': [
    'TOO_LARGE',
    'list',
    (session) => {
      const list: any[] = []
      session.list = list
      list[4_000_000_000] = 1
      session.list.push(2)
    },
  ],
  'an attribute of the cookie, nested too deep': [
    'NOT_STORABLE',
    'cookie.expires',
    (session, value) => {
      session.cookie.expires = value
    },
    () => nested(20_000),
  ],
  'the prototype of the cookie': [
    'RESERVED_KEY',
    'cookie.__proto__',
    (session, key) => {
      session.cookie[key] = { admin: true }
    },
    () => '__proto__',
  ],
  'a huge length': [
    'TOO_LARGE',
    'list.length',
    inList((list) => {
      list.length = 4_294_967_295
    }),
  ],
}

describe('a write that cannot be kept', () => {
  it.each(Object.entries(REFUSED))(
    '%s: is not made, is told with its place, and the ack is not sent',
    async (_, [code, path, handler, value]) => {
      const { told, uncaught, acked, store, sid } = await handling(handler, value)
      expect(uncaught).toEqual([])
      expect(told.map((error) => error.code)).toEqual([code])
      expect(told[0].message).toMatch(new RegExp(`^${path.replace(/[[\]]/g, '\\$&')}`))
      expect(acked).toEqual([])
      const { cookie, user, next, ...rest } = store.stored(sid) as any
      // What the handler had done before.
      expect([{}, { list: [1] }, { list: [] }, { raw: {} }]).toContainEqual(rest)
    },
  )

  it('has the path of the write in its error', async () => {
    const { told } = await handling(function theHandler(session) {
      session.n = 1n
    })
    expect(told[0].cause.stack).toContain('theHandler')
  })

  const FOUND: [string, (session: any, key?: string) => void][] = [
    ['found at once', (session, key = 'bad') => put(key, 1n)(session, 0)],
    [
      'found at the save',
      (session, key = 'raw') => {
        const raw: any = {}
        session[key] = raw
        raw.n = 1n
      },
    ],
  ]
  it.each(FOUND)('does not keep back acks of other handlers, at the same time or later (%s)', async (_, refused) => {
    expectWarning('NOT_STORABLE')
    const { client, socket, session } = await live()
    socket.on('go', (n: number, ack: (n: number) => void) => {
      if (n === 2) refused(session)
      else session.n = n
      ack(n)
    })
    const acked: number[] = []
    for (const n of [1, 2, 3, 4]) client.emit('go', n, (answer: number) => acked.push(answer))
    await expect.poll(() => acked).toEqual([1, 3, 4])
  })

  const EARLY: Record<string, (socket: Socket, write: (n: number) => void) => unknown> = {
    onAny: (socket, write) => socket.onAny((name, n) => name === 'go' && write(n)),
    'a packet middleware': (socket, write) =>
      socket.use(([name, n], next) => {
        if (name === 'go') write(n)
        next()
      }),
  }
  it.each(
    Object.entries(EARLY).flatMap(([where, listen]) => FOUND.map(([when, refused]) => [where, when, listen, refused] as const)),
  )('in %s keeps back the ack of its event, and of no other (%s)', async (_where, _when, listen, refused) => {
    expectWarning('NOT_STORABLE')
    const { client, socket, session } = await live()
    listen(socket, (n) => (n === 2 ? refused(session, 'two') : Object.assign(session, { early: n })))
    socket.on('go', (n: number, ack: (n: number) => void) => {
      if (n === 3) refused(session)
      else session.n = n
      ack(n)
    })
    const acked: number[] = []
    for (const n of [1, 2, 3, 4, 5]) client.emit('go', n, (answer: number) => acked.push(answer))
    await expect.poll(() => acked.at(-1)).toBe(5)
    expect(acked).toEqual([1, 4, 5])
  })

  it('makes save() reject, by promise and callback, once; the other writes are saved', async () => {
    expectWarning('NOT_STORABLE')
    for (const autoSave of [true, false]) {
      const { store, session, sid } = await live({ shared: { autoSave } })
      session.a = 1
      session.bad = nested(5000)
      expect(await failure(session.save())).toMatchObject({ code: 'NOT_STORABLE' })
      expect(store.stored(sid)).toMatchObject({ a: 1 })
      session.raw = {}
      const raw: any = {}
      session.raw = raw
      raw.big = 1n
      const error = await new Promise((resolve) => session.save(resolve))
      expect(error).toMatchObject({ code: 'NOT_STORABLE' })
      await session.save()
      await closeApps()
    }
  })

  it('makes update() reject', async () => {
    const { app, sid, store } = await live()
    const before = store.stored(sid)
    const cycle: any = {}
    cycle.self = cycle
    for (const value of [nested(1001), nested(5000), nested(300_000), cycle, 1n]) {
      const update = app.shared.update(sid, (draft: any) => void Object.assign(draft, { value }))
      expect(await failure(update)).toMatchObject({ code: 'NOT_STORABLE' })
    }
    expect(store.stored(sid)).toEqual(before)
  })
})

describe('a copy of the session that is assigned to it', () => {
  it('changes nothing, cookie and all', async () => {
    const { socket, session, store, sid } = await live()
    const told = collect(socket, 'session:error')
    const before = store.stored(sid)
    Object.assign(session, JSON.parse(JSON.stringify(session)))
    Object.assign(session, { ...session })
    await turns()
    expect(told).toEqual([])
    expect(store.stored(sid)).toEqual(before)
  })
})

describe('connect-flash', () => {
  /** What connect-flash 0.1.1 does with `req.session`. */
  function flash(session: any, type?: string, message?: string): unknown {
    session.flash ??= {}
    const messages = session.flash
    if (type && message) {
      messages[type] ??= []
      messages[type].push(message)
      return messages[type].length
    }
    if (type) {
      const found = messages[type]
      delete messages[type]
      return found ?? []
    }
    session.flash = {}
    return messages
  }

  /** The same with the reference that an assignment gives. */
  function flashByReference(session: any, type?: string, message?: string): unknown {
    // biome-ignore lint/suspicious/noAssignInExpressions: as connect-flash does it
    const messages = (session.flash = session.flash || {})
    if (type && message) {
      // biome-ignore lint/suspicious/noAssignInExpressions: as connect-flash does it
      return (messages[type] = messages[type] || []).push(message)
    }
    if (type) {
      const found = messages[type]
      delete messages[type]
      return found || []
    }
    session.flash = {}
    return messages
  }

  it.each([flash, flashByReference])('keeps each message until it is shown (%o)', async (put) => {
    const { client, socket, session, store, sid } = await live()
    socket.on('flash', (ack: (answer: unknown[]) => void) => {
      const counts = [put(session, 'info', 'one'), put(session, 'info', 'two'), put(session, 'error', 'three')]
      ack([...counts, put(session, 'error')])
    })
    socket.on('shown', (ack: (answer: unknown) => void) => ack(put(session)))
    expect(await client.emitWithAck('flash')).toEqual([1, 2, 1, ['three']])
    expect(store.stored(sid)).toMatchObject({ flash: { info: ['one', 'two'] } })
    expect(await client.emitWithAck('shown')).toEqual({ info: ['one', 'two'] })
    expect(store.stored(sid)).toMatchObject({ flash: {} })
  })
})
