import * as crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import timersPromises from 'node:timers/promises'
import { getOrInsert } from '../../src/util/maps.js'
import type { Event, World } from './world.js'

/** 2026-01-01: when each simulation begins. */
const EPOCH = Date.UTC(2026, 0, 1)

let world: World | undefined

/** Makes this the world that time and randomness belong to. */
export function enter(next: World | undefined): void {
  world = next
}

/** The garbage collector of a simulation: what a `WeakRef` holds is collected when the simulation says so. */
export const collector = {
  isCollected: (_target: object): boolean => false,
  /** What the application's own code refers to, and how often. */
  held: new WeakMap<object, number>(),
}

/** The application's code refers to it from now on. @returns ends that */
export function hold(target: object): () => void {
  const { held } = collector
  held.set(target, (held.get(target) ?? 0) + 1)
  return () => void held.set(target, (held.get(target) ?? 1) - 1)
}

function current(): World {
  if (!world) throw new Error('Time and randomness are used outside of a simulation.')
  return world
}

class SimulatedTimer {
  readonly #event: Event

  constructor(event: Event) {
    this.#event = event
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  hasRef(): boolean {
    return true
  }

  close(): void {
    this.#event.cancelled = true
  }
}

/**
 * Replaces what gives time and randomness in this process, for good: `Date.now`, `performance.now`, timers, `Math.random`, random bytes,
 * weak references. The process serves for nothing but simulations from then on.
 */
export function replaceGlobals(): void {
  const set = (name: string, value: unknown): void =>
    void Object.defineProperty(globalThis, name, { value, configurable: true, writable: true })
  // Between two simulations the real ones serve.
  const real = { date: Date.now, now: performance.now.bind(performance), random: Math.random }
  Date.now = () => (world ? EPOCH + world.now + world.skew : real.date())
  performance.now = () => (world ? world.now : real.now())
  Math.random = () => (world ? world.random.next() : real.random())
  const clear = (timer: SimulatedTimer | undefined): void => timer?.close()
  const start = (run: (...args: unknown[]) => void, ms = 1, ...args: unknown[]): SimulatedTimer =>
    new SimulatedTimer(current().timer(ms, () => run(...args)))
  set('setTimeout', start)
  set('clearTimeout', clear)
  set('setImmediate', (run: (...args: unknown[]) => void, ...args: unknown[]) => {
    return new SimulatedTimer(current().immediate(() => run(...args)))
  })
  set('clearImmediate', clear)
  set('setInterval', (run: () => void, ms = 1) => new SimulatedInterval(run, ms))
  set('clearInterval', clear)
  set('WeakRef', SimulatedWeakRef)
  set('FinalizationRegistry', SimulatedFinalizationRegistry)
  const pause = (ms: number, value?: unknown): Promise<unknown> =>
    new Promise((resolve) => current().timer(ms, () => resolve(value)))
  Object.assign(timersPromises, { setTimeout: pause })
  const { hash } = crypto
  Object.assign((crypto as unknown as { default: object }).default, {
    randomBytes: () => randomBytes,
    createHash: (name: string) => new SimulatedHash(name),
    createHmac: (name: string, key: string) => new SimulatedHash(`${name} ${key}`),
    hash: (name: string, text: string, encoding: crypto.BinaryToTextEncoding) => {
      if (digests.size > 1000) digests.clear()
      return getOrInsert(digests, `${name} ${encoding} ${text}`, () => hash(name, text, encoding))
    },
  })
  syncBuiltinESMExports()
}

class SimulatedInterval {
  #event: Event

  constructor(run: () => void, ms: number) {
    const wait = (): Event =>
      current().timer(ms, () => {
        this.#event = wait()
        run()
      })
    this.#event = wait()
  }

  unref(): this {
    return this
  }

  close(): void {
    this.#event.cancelled = true
  }
}

class SimulatedWeakRef<T extends object> {
  readonly #target: T

  constructor(target: T) {
    this.#target = target
  }

  deref(): T | undefined {
    return collector.isCollected(this.#target) ? undefined : this.#target
  }
}

class SimulatedFinalizationRegistry {
  register(): void {}
  unregister(): void {}
}

/** Digests of topics, rooms and what is published: the same ones are asked for again and again. The order of some names depends on them. */
const digests = new Map<string, string>()

/** In place of signatures and of what express-session compares, which take more time: 28 letters. */
class SimulatedHash {
  #text: string

  constructor(name: string) {
    this.#text = `${name} `
  }

  update(text: string): this {
    this.#text += text
    return this
  }

  digest(): string {
    const text = this.#text
    let [a, b, c] = [0x811c9dc5, 0x9e3779b9, 0x85ebca6b]
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index)
      a = Math.imul(a ^ code, 0x01000193)
      b = Math.imul(b ^ code, 0x5bd1e995)
      c = Math.imul(c ^ code, 0xc2b2ae35)
    }
    const parts = [a ^ (b >>> 15), b ^ (c >>> 13), c ^ (a >>> 16), a ^ b ^ c]
    return parts.map((part) => (part >>> 0).toString(36).padStart(7, '0')).join('')
  }
}

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Stands for random bytes of any number. They are drawn when they become text: what is left of them depends on no earlier simulation. */
const randomBytes = {
  length: Number.POSITIVE_INFINITY,
  toString: () => randomId(12),
  subarray: () => randomBytes,
}

export function randomId(length: number): string {
  const { random } = current()
  let id = ''
  for (let index = 0; index < length; index++) id += LETTERS[random.below(64)]
  return id
}
