import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Socket } from 'socket.io'
import type { SharedSessionError } from '../../src/index.js'
import { startApp, type TestClient } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { sidOf } from '../support/sid.js'

/**
 * What clients send, over real sockets, into handlers that put it into the session in five common ways. After each packet the store has
 * either what it had before, and `session:error` came and no ack, or the whole value, and the ack has come.
 */

type Any = any

const WAYS: Record<string, (session: Any, key: string, value: Any) => void> = {
  assigned: (session, key, value) => {
    session[key] = value
  },
  below: (session, key, value) => {
    session.data ??= {}
    session.data[key] = value
  },
  pushed: (session, _key, value) => {
    session.list = [...(session.list ?? []).slice(-2)]
    session.list.push(value)
  },
  merged: (session, _key, value) => {
    session.profile ??= {}
    Object.assign(session.profile, { last: value })
  },
  raw: (session, key, value) => {
    const fresh: Any = {}
    session.fresh = fresh
    fresh[key] = value
  },
}

/** Where a way puts a value, and what is to be there. */
function expected(way: string, before: Any, key: string, value: Any): Any {
  const after = structuredClone(before)
  if (way === 'assigned') put(after, key, value)
  else if (way === 'below') after.data = put(after.data ?? {}, key, value)
  else if (way === 'pushed') after.list = [...(after.list ?? []).slice(-2), value]
  else if (way === 'merged') after.profile = { ...after.profile, last: value }
  else {
    after.fresh = {}
    put(after.fresh, key, value)
  }
  return after
}

const put = (target: Any, key: string, value: Any): Any =>
  Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true })

const KEYS = [
  'a',
  'b',
  'save',
  'cookie',
  'constructor',
  '__proto__',
  'hasOwnProperty',
  'toJSON',
  'prototype',
  'then',
  '0',
  '',
  'touch',
  'ä.b',
]

/** mulberry32 */
function randomOf(seed: number): () => number {
  let s = seed | 0
  return () => {
    s = (s + 0x6d2b79f5) | 0
    let t = Math.imul(s ^ (s >>> 15), 1 | s)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** A packet's value as JSON text, as a client can write it by hand. */
function textOf(random: () => number, depth = 0): string {
  const int = (below: number): number => Math.floor(random() * below)
  const x = random()
  if (x < 0.02 && depth === 0) {
    const levels = [900, 1001, 1500, 5000, 200_000][int(5)] as number
    return random() < 0.5 ? `${'['.repeat(levels)}1${']'.repeat(levels)}` : `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`
  }
  if (x < 0.03 && depth === 0) return `"${'x'.repeat(int(60_000))}"`
  if (x < 0.04 && depth === 0) return `[${Array.from({ length: int(3000) }, () => int(10)).join()}]`
  if (x < 0.5 || depth > 4)
    return ['null', 'true', '-0', '1e308', String(int(1000)), '"text"', '""', '"\\ud800"'][int(8)] as string
  if (x < 0.75) return `[${Array.from({ length: int(4) }, () => textOf(random, depth + 1)).join()}]`
  const key = (): string => JSON.stringify(random() < 0.02 ? '__proto__' : KEYS[int(KEYS.length)])
  return `{${Array.from({ length: int(4) }, () => `${key()}:${textOf(random, depth + 1)}`).join()}}`
}

/** Equal as JSON, whatever the order of keys; walks no deeper than a store's own JSON goes. */
const canon = (value: Any): string => JSON.stringify(sorted(value))
const sorted = (value: Any): Any => {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(sorted)
  const copy = Object.create(null)
  for (const key of Object.keys(value).sort()) if (key !== 'cookie' || !value.cookie?.path) copy[key] = sorted(value[key])
  return copy
}

export interface Outcome {
  kept: number
  refused: number
  /** How much more memory is in use than before, in bytes. */
  grown: number
  failures: string[]
}

/** @param count of packets, by four clients at once */
export async function sendPackets(count: number, seed: number): Promise<Outcome> {
  const outcome: Outcome = { kept: 0, refused: 0, grown: 0, failures: [] }
  const uncaught = (error: unknown): void => void outcome.failures.push(`uncaught: ${String((error as Error)?.stack ?? error)}`)
  process.on('uncaughtException', uncaught)
  process.on('unhandledRejection', uncaught)
  const store = new ControlledStore()
  const app = await startApp({
    store,
    connection: listen,
    io: { maxHttpBufferSize: 4_000_000 },
    shared: { maxBytes: 20_000_000 },
  })
  try {
    const visitors = await Promise.all([0, 1, 2, 3].map((index) => newVisitor(index)))
    const random = randomOf(seed)
    const share = async ({ client, sid }: Visitor, packets: number): Promise<void> => {
      for (let n = 0; n < packets && outcome.failures.length < 5; n++) await one(client, sid, random)
    }
    await Promise.all(visitors.map((visitor) => share(visitor, 10)))
    const before = await heapWithout(visitors)
    await Promise.all(visitors.map((visitor) => share(visitor, Math.ceil(count / visitors.length))))
    outcome.grown = (await heapWithout(visitors)) - before
  } finally {
    await app.close()
    process.off('uncaughtException', uncaught)
    process.off('unhandledRejection', uncaught)
  }
  return outcome

  interface Visitor {
    client: TestClient
    sid: string
  }

  async function newVisitor(index: number): Promise<Visitor> {
    const browser = app.browser()
    await browser.get(`/set?visitor=${index}`)
    return { client: await browser.connect(), sid: sidOf(browser) }
  }

  /** What is in use when the sessions are empty. */
  async function heapWithout(visitors: Visitor[]): Promise<number> {
    if (outcome.failures.length === 0) await Promise.all(visitors.map(({ client }) => client.emitWithAck('clear')))
    return heap()
  }

  async function one(client: TestClient, sid: string, random: () => number): Promise<void> {
    const way = Object.keys(WAYS)[Math.floor(random() * 5)] as string
    const drawn = KEYS[Math.floor(random() * KEYS.length)] as string
    // On an object of the application's own this is no property but its prototype.
    const key = way === 'raw' && drawn === '__proto__' ? 'a' : drawn
    const binary = random() < 0.02
    const text = binary ? '' : textOf(random)
    const value = binary ? Buffer.from('binary') : text
    const before = store.stored(sid) as Any
    const answer = await new Promise<string>((resolve) => {
      const timer = setTimeout(() => resolve('nothing'), 10_000)
      let settled = false
      const done = (what: string): void => {
        settled = true
        clearTimeout(timer)
        client.off('refused', refused)
        resolve(what)
      }
      const refused = (code: string): void => done(code)
      client.on('refused', refused)
      const kept = (): void => {
        if (settled) outcome.failures.push(`an ack for what was refused: ${way}`)
        done('ok')
      }
      if (binary) client.emit('put', way, key, value, kept)
      else {
        // As an attacker writes it: the client's own encoder is recursive.
        const internals = client as unknown as { ids: number; acks: Record<number, () => void> }
        const id = internals.ids++
        // What is never acknowledged does not pile up; an ack for the packet before would still be noticed.
        internals.acks = { [id - 1]: internals.acks[id - 1] ?? (() => undefined), [id]: kept }
        client.io.engine.write(`2${id}["put",${JSON.stringify(way)},${JSON.stringify(key)},${text}]`)
      }
    })
    store.calls.length = 0
    const after = canon(store.stored(sid))
    const what = `${way} ${JSON.stringify(key)} ${text.slice(0, 200)}: ${answer}`
    if (answer === 'ok') {
      outcome.kept++
      const whole = JSON.parse(JSON.stringify(binary ? value : JSON.parse(text)))
      if (after !== canon(expected(way, before, key, whole)))
        outcome.failures.push(`not the whole value: ${what} ${after.slice(0, 300)}`)
    } else {
      outcome.refused++
      if (!['NOT_STORABLE', 'RESERVED_KEY', 'TOO_LARGE'].includes(answer)) outcome.failures.push(what)
      // Where the handler had made something else before, that stays.
      const left = canon(expectedWithout(way, before))
      if (after !== canon(before) && after !== left) outcome.failures.push(`half of it: ${what} ${after.slice(0, 300)}`)
    }
  }
}

/** What a handler leaves of which the last write was not made. */
function expectedWithout(way: string, before: Any): Any {
  const after = structuredClone(before)
  if (way === 'below') after.data ??= {}
  else if (way === 'pushed') after.list = (after.list ?? []).slice(-2)
  else if (way === 'merged') after.profile ??= {}
  else if (way === 'raw') after.fresh = {}
  return after
}

function listen(socket: Socket): void {
  const { session } = socket.handshake as Any
  socket.on('clear', (ack: () => void) => {
    for (const name of Object.keys(session)) if (name !== 'cookie') delete session[name]
    ack()
  })
  socket.on('put', (way: string, key: string, value: unknown, ack: () => void) => {
    WAYS[way]?.(session, key, value)
    ack()
  })
  // After what is left of the handler's writes has been saved.
  socket.on('session:error', (error: SharedSessionError) => {
    const report = (): void => void socket.emit('refused', error.code)
    session.save().then(report, report)
  })
}

function heap(): number {
  setFlagsFromString('--expose_gc')
  const collectGarbage = runInNewContext('gc') as () => void
  collectGarbage()
  return process.memoryUsage().heapUsed
}
