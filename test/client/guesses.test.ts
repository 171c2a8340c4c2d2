import { describe, expect, it } from 'vitest'
import { guess, mirror } from '../../src/client/index.js'
import { FakeServerSide } from '../../src/client/testing/index.js'
import { project } from '../../src/socket/mirror/projection.js'
import { PublishedState } from '../../src/socket/mirror/published-state.js'
import { Random } from '../simulation/random.js'
import { deferred } from '../support/wait.js'

interface State {
  count: number
  items: { id: number; done: boolean }[]
  user: Record<string, string>
}

const projected = (state: object) => project({ run: () => state, perSocket: false } as never, 1e6, state as never)
const textOf = (state: object) => projected(state).text

/** A server that sends one client what the real one sends. */
class Server extends FakeServerSide {
  readonly #published = new PublishedState('sid')
  #held: string | 0 = 0

  constructor(state: State) {
    super()
    this.#published.set(projected(state))
    this.onquestion = ({ held }) => this.#answer(held)
  }

  begin(): void {
    this.accept()
    this.#answer(this.questions.at(-1)!.held)
  }

  publish(state: State): void {
    if (!this.#published.set(projected(state)) || !this.socket.connected) return
    this.send(this.#published.frameFor(this.#held, this.#published.patchesFor(this.#held), false))
    this.#held = this.#published.tag!
  }

  #answer(held: string | 0): void {
    this.send(this.#published.frameFor(held, this.#published.patchesFor(held), true))
    this.#held = this.#published.tag!
  }
}

const shuffled = (random: Random, fields: object): any => {
  const entries = Object.entries(fields)
  return Object.fromEntries(random.chance(0.5) ? entries : entries.reverse())
}

/** A write of the server or of a guess, which makes keys in any order. */
function write(random: Random): (state: State) => void {
  const id = random.below(3)
  const name = random.pick(['name', 'mail', 'constructor'])
  return random.pick<(state: State) => void>([
    (state) => {
      state.count = id
    },
    ({ user }) => {
      user[name] = `${id}`
    },
    (state) => {
      state.user = shuffled(random, { ...state.user, [name]: `${id}`, a: 'b' })
    },
    ({ user }) => void delete user[name],
    ({ items }) => void (items.some((item) => item.id === id) || items.push(shuffled(random, { id, done: false }))),
    (state) => {
      state.items = state.items.filter((item) => item.id !== id)
    },
    (state) => {
      state.items = state.items.map((item) => shuffled(random, { ...item, done: item.id === id }))
    },
  ])
}

/** Fails where a part is equal to the one before in its place, and is another object. */
function expectKept(before: any, after: any): void {
  if (after !== Object(after) || before !== Object(before) || Array.isArray(before) !== Array.isArray(after)) return
  if (textOf({ part: before }) === textOf({ part: after })) expect(after).toBe(before)
  for (const key of Object.keys(after)) if (Object.hasOwn(before, key)) expectKept(before[key], after[key])
}

describe('whatever is guessed, settled and written', () => {
  it.each(Array.from({ length: 60 }, (_, seed) => seed))('nobody hears an equal state twice, seed %i', async (seed) => {
    const random = new Random(seed)
    let state: State = { count: 0, items: [{ id: 1, done: false }], user: { name: 'Ada', pad: '.'.repeat(60) } }
    const server = new Server(state)
    const live = mirror<State>(server.socket)
    server.begin()
    const [states, users] = [[live.get()!], [live.get()!.user]]
    live.listen((next) => states.push(next!))
    live.select(({ user }) => user).listen((next) => users.push(next!))
    const pending: { recipe: (state: State) => void; resolve: () => void }[] = []
    const publish = (change: (state: State) => void): void => {
      state = structuredClone(state)
      change(state)
      server.publish(state)
    }
    for (let step = 0; step < 60; step++) {
      const what = random.weighted({ guess: 3, settle: 2, commit: 2, write: 2, reconnect: 1, ask: 1 })
      if (what === 'guess') {
        const { promise, resolve } = deferred()
        pending.push({ recipe: write(random), resolve })
        guess(live, pending.at(-1)!.recipe, promise)
      }
      if (what === 'settle') {
        pending.splice(random.below(pending.length), 1)[0]?.resolve()
        await Promise.resolve()
      }
      if (what === 'commit' && pending.length > 0) publish(random.pick(pending).recipe)
      if (what === 'write') publish(write(random))
      if (what === 'reconnect') {
        server.drop()
        for (let count = random.below(3); count > 0; count--) publish(write(random))
        server.begin()
      }
      // Another mirror of the socket has the whole state sent.
      if (what === 'ask') mirror(server.socket).close()
      const expected = structuredClone(state)
      for (const { recipe } of pending) recipe(expected)
      expect(textOf(live.get()!)).toBe(textOf(expected))
      expect(live.get()).toBe(states.at(-1))
      for (const heard of [states, users]) {
        for (let next = 1; next < heard.length; next++) {
          expect(textOf(heard[next]!)).not.toBe(textOf(heard[next - 1]!))
          expectKept(heard[next - 1], heard[next])
        }
        heard.splice(0, heard.length - 1)
      }
    }
  })
})
