import type { MirrorState } from '../protocol.js'
import type { FakeServerSide, FakeSocket } from './fake-connection.js'
import { type ConformanceClient, delta, FIRST, Scene, SESSION, same } from './scene.js'

export interface ConformanceCase {
  name: string
  /** @throws if the client does not do what the protocol says */
  run(): void
}

/** What every client does, whatever it is written in. The numbers of tags follow the changes. */
const CASES: Record<string, (start: (before?: (server: FakeServerSide) => void) => Scene) => void> = {
  'asks in its handshake, and takes the whole state'(start) {
    const scene = start()
    scene.holds(undefined)
    scene.server.accept()
    scene.asked(0)
    scene.live(false)
    scene.server.send({ t: 'tag000000001', s: FIRST, n: SESSION })
    scene.holds(FIRST)
    scene.live(true)
    scene.changed(1)
    scene.asked(0)
  },
  'keeps what the application has in `auth`'(start) {
    const scene = start((server) => {
      server.socket.auth = { token: 'mine' }
    })
    scene.server.accept()
    same('auth.token', scene.server.auth.token, 'mine')
  },
  'asks by the event if it is connected already'(start) {
    const scene = start((server) => server.accept())
    scene.asked(0)
    scene.server.send({ t: 'tag000000001', s: FIRST, n: SESSION })
    scene.holds(FIRST)
  },
  'asks with its tag when it connects again, and keeps its state if nothing was missed'(start) {
    const scene = start().begin()
    const before = scene.client.get()
    scene.server.drop()
    scene.holds(FIRST)
    scene.live(false)
    scene.reconnect()
    scene.asked('tag000000001')
    scene.server.send({ t: 'tag000000001', n: SESSION })
    if (scene.client.get() !== before) throw new Error('the state is another object')
    scene.live(true)
    scene.changed(0)
    scene.asked('tag000000001')
  },
  'applies the changes that it missed'(start) {
    const scene = start().begin()
    scene.reconnect()
    scene.server.send(delta(4, 1, [[['user', 'name'], 'Bob']], { n: SESSION }))
    scene.holds({ ...FIRST, user: { name: 'Bob' } })
    scene.changed(1)
    scene.reconnect()
    scene.asked('tag000000004')
  },
  'takes another whole state when it connects again'(start) {
    const scene = start().begin()
    scene.reconnect()
    scene.server.send({ t: 'tag000000002', s: { other: [1] }, n: SESSION })
    scene.holds({ other: [1] })
    scene.changed(1)
  },
  'sets, deletes and splices, each step on the result of the one before'(start) {
    const scene = start().begin()
    scene.server.send(
      delta(2, 1, [
        [['user', 'mail'], { at: 'example' }],
        [['user', 'mail', 'at'], 'example.org'],
        [['user', 'name']],
        [['cart', 'items'], 1, 1, ['rice', ['a', 'b']]],
        [['cart', 'items', 0], 'coffee'],
        [['cart', 'items', 2, 1], null],
        [['cart', 'items'], 0, 0, ['salt']],
      ]),
    )
    scene.holds({
      cart: { items: ['salt', 'coffee', 'rice', ['a', null], 'bread'], total: 7 },
      user: { mail: { at: 'example.org' } },
    })
    scene.changed(1)
    scene.asked()
  },
  'removes elements, and adds at the end'(start) {
    const scene = start().begin()
    scene.server.send(delta(2, 1, [[['cart', 'items'], 0, 2, []]]))
    scene.server.send(delta(3, 2, [[['cart', 'items'], 1, 0, ['rice']]]))
    scene.holds({ ...FIRST, cart: { items: ['bread', 'rice'], total: 7 } })
    scene.asked()
  },
  'replaces the whole state by a change at its root'(start) {
    const scene = start().begin()
    scene.server.send(delta(2, 1, [[[], { other: true }]]))
    scene.holds({ other: true })
    scene.changed(1)
  },
  'drops a change that it has already'(start) {
    const scene = start().begin()
    const change = delta(2, 1, [[['cart', 'items'], 0, 1, []]])
    scene.server.send(change)
    scene.server.send(change)
    scene.holds({ ...FIRST, cart: { items: ['milk', 'bread'], total: 7 } })
    scene.changed(1)
    scene.asked()
  },
  'asks once, with its tag, when a change was lost'(start) {
    const scene = start().begin()
    scene.server.send(delta(3, 2, [[['cart', 'total'], 8]]))
    scene.server.send(delta(4, 3, [[['cart', 'total'], 9]]))
    scene.holds(FIRST)
    scene.asked('tag000000001')
    scene.server.send(delta(4, 1, [[['cart', 'total'], 9]], { n: SESSION }))
    scene.holds({ ...FIRST, cart: { ...FIRST.cart, total: 9 } })
    scene.live(true)
    scene.server.send(delta(6, 5, []))
    scene.asked('tag000000001', 'tag000000004')
  },
  'asks when it is told to keep a state that it has not'(start) {
    const scene = start().begin()
    scene.reconnect()
    scene.server.send({ t: 'tag000000005', n: SESSION })
    scene.asked('tag000000001', 'tag000000001')
    scene.server.send({ t: 'tag000000005', s: { other: 1 }, n: SESSION })
    scene.holds({ other: 1 })
  },
  'asks again on another connection'(start) {
    const scene = start().begin()
    scene.server.send(delta(3, 2, []))
    scene.reconnect()
    scene.asked('tag000000001')
    scene.server.send({ t: 'tag000000001', n: SESSION })
    scene.server.send(delta(3, 2, []))
    scene.asked('tag000000001', 'tag000000001')
  },
  'ignores frames that it does not know'(start) {
    const scene = start().begin()
    for (const frame of [{}, { later: 1 }, { n: SESSION }, [], null, undefined, 0, 'text', true]) scene.server.send(frame)
    scene.holds(FIRST)
    scene.changed(0)
    scene.server.send(delta(2, 1, [[['cart', 'total'], 8]]))
    if (scene.server.questions.length > 1) throw new Error('it asked for each of them')
  },
  'keeps its state when the server could not publish, and goes on'(start) {
    const scene = start().begin()
    for (const e of ['PUBLISH_FAILED', 'TOO_LARGE_TO_PUBLISH', 'NOT_PUBLISHED']) {
      scene.server.send({ e })
      scene.holds(FIRST)
      scene.live(false)
    }
    scene.server.send(delta(2, 1, [[['cart', 'total'], 8]]))
    scene.holds({ ...FIRST, cart: { ...FIRST.cart, total: 8 } })
    scene.live(true)
    scene.asked()
  },
  'forgets its state when the session ends, and what its connection still brings'(start) {
    const scene = start().begin()
    scene.server.send({ end: 'destroyed' })
    scene.holds(undefined)
    scene.live(false)
    scene.server.send(delta(2, 1, [[['cart', 'total'], 8]]))
    scene.server.send({ t: 'tag000000002', s: FIRST, n: SESSION })
    scene.holds(undefined)
    scene.asked()
    scene.reconnect()
    scene.asked(0)
    scene.server.send({ t: 'tag000000009', s: { user: null }, n: 'session00002' })
    scene.holds({ user: null })
    scene.changed(2)
    scene.live(true)
  },
}

const INVALID: Record<string, unknown> = {
  'a path through what does not exist': [[['cart', 'none', 'total'], 1]],
  'a path through a number': [[['cart', 'total', 'deep'], 1]],
  'an inherited path': [[['cart', 'constructor', 'prototype', 'harmed'], true]],
  'a path through __proto__': [[['__proto__', 'harmed'], true]],
  'a path to __proto__': [[['cart', '__proto__'], { harmed: true }]],
  'an index behind the end': [[['cart', 'items', 5], 'x']],
  'the length of an array': [[['cart', 'items', 'length'], 4_000_000_000]],
  'a splice of an object': [[['cart'], 0, 1, []]],
  'a second step that does not fit': [
    [['cart', 'total'], 8],
    [['none', 'deep'], 1],
  ],
  'no list of patches': 5,
  'a patch that is none': [7],
  'a root that is no object': [[[], 'text']],
}

for (const [what, patches] of Object.entries(INVALID))
  CASES[`asks once, and throws nothing, for a change that does not fit: ${what}`] = (start) => {
    const scene = start().begin()
    scene.server.send(delta(2, 1, patches))
    scene.server.send(delta(3, 2, patches))
    scene.holds(FIRST)
    scene.changed(0)
    scene.askedOnce()
    scene.unharmed()
    scene.server.send({ t: 'tag000000003', s: { healed: true }, n: SESSION })
    scene.holds({ healed: true })
    scene.live(true)
  }

CASES['takes a whole state with reserved keys without harm'] = (start) => {
  const scene = start()
  scene.server.accept()
  scene.server.socket.dispatch(
    'session:mirror',
    JSON.parse(
      '{"t":"tag000000001","n":"session00001","s":{"a":{"__proto__":{"harmed":true},"b":1},"__proto__":{"harmed":true}}}',
    ),
  )
  scene.unharmed()
  const copy = Object.assign({}, scene.client.get()) as MirrorState
  if (copy.harmed) throw new Error('a copy of the state has another prototype')
}

CASES['takes 10,000 steps in one frame'] = (start) => {
  const scene = start().begin()
  scene.server.send(
    delta(
      2,
      1,
      Array.from({ length: 10_000 }, (_, index) => (index % 2 ? [['cart', 'total'], index] : [['cart', 'items'], 0, 1, ['x']])),
    ),
  )
  scene.holds({ ...FIRST, cart: { items: ['x', 'milk', 'bread'], total: 9999 } })
  scene.changed(1)
}

/**
 * The cases that a client of the protocol passes. They need no test runner: each throws if it fails.
 * @param createClient makes a client on a socket, which behaves as one of `socket.io-client`
 * @example
 * for (const { name, run } of conformance((socket) => mirror(socket))) test(name, run)
 */
export function conformance(createClient: (socket: FakeSocket) => ConformanceClient): ConformanceCase[] {
  return Object.entries(CASES).map(([name, run]) => ({ name, run: () => run((before) => new Scene(createClient, before)) }))
}
