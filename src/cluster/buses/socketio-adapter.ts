import { EventEmitter } from 'node:events'
import type { Server } from 'socket.io'
import type { Bus, BusListener } from '../../bus.js'
import { BUS_NAME } from '../../bus-name.js'
import { guardPool, watchConnection } from './adapter-connections.js'

/** The name of the server-side event that carries a message. */
const EVENT = 'sharedsession'

/** What this bus uses of socket.io's adapter. */
interface Adapter {
  serverSideEmit(packet: unknown[]): unknown
  /** Of the Redis adapter: node-redis or ioredis. */
  pubClient?: object
  subClient?: object
  /** Of the Postgres adapter: its subscriber, on a connection that it takes from the pool. */
  client?: { pool?: object }
  /** The same in its earlier versions. */
  pool?: object
}

/**
 * Socket.IO's adapter as the bus: every message goes to every node of the cluster, by `serverSideEmit` on the main namespace. Only the Redis
 * adapter reports gaps; with other adapters revalidation bounds how long a lost message goes unnoticed.
 */
export class AdapterBus implements Bus {
  readonly [BUS_NAME] = 'adapter'
  readonly #io: Server
  readonly #topics = new Set<string>()
  #listener: BusListener | undefined
  #unwatch: () => void = () => undefined

  constructor(io: Server) {
    this.#io = io
  }

  /** With Postgres every role of the database can listen and notify. Other adapters need rights as a store does. */
  get isPublic(): boolean {
    const { client, pool } = adapterOf(this.#io)
    return client?.pool !== undefined || pool !== undefined
  }

  start(listener: BusListener): void {
    this.#listener = listener
    this.#io.of('/').on(EVENT as never, this.#onEvent as never)
    const { subClient, client } = adapterOf(this.#io)
    const unwatch = watchConnection(subClient, () => this.#listener?.gap())
    const unguard = guardPool(client?.pool)
    this.#unwatch = () => {
      unwatch()
      unguard()
    }
  }

  subscribe(topic: string): void {
    this.#topics.add(topic)
  }

  unsubscribe(topic: string): void {
    this.#topics.delete(topic)
  }

  async publish(topic: string, text: string): Promise<void> {
    const adapter = adapterOf(this.#io)
    if (isInMemoryAdapter(adapter)) return
    const { guarded, sent } = withPublishErrors(adapter)
    await adapter.serverSideEmit.call(guarded, [EVENT, topic, text])
    await Promise.all(sent)
  }

  close(): void {
    this.#unwatch()
    this.#io.of('/').off(EVENT as never, this.#onEvent as never)
    this.#topics.clear()
    this.#listener = undefined
  }

  #onEvent = (topic: unknown, text: unknown): void => {
    if (typeof topic === 'string' && typeof text === 'string' && this.#topics.has(topic)) this.#listener?.heard(topic, text)
  }
}

/** Does the server's adapter reach other processes? */
export function isClusterAdapter(io: Server): boolean {
  return !isInMemoryAdapter(adapterOf(io))
}

function adapterOf(io: Server): Adapter {
  // socket.io's type of an adapter declares neither its cluster methods nor its clients.
  return io.of('/').adapter as unknown as Adapter
}

/**
 * The in-memory adapter has a `serverSideEmit` that only warns. Its class derives from nothing but an event emitter, in any copy of
 * socket.io-adapter; adapters that reach other processes derive from it.
 */
function isInMemoryAdapter(adapter: Adapter): boolean {
  let owner: object | null = adapter
  while (owner && !Object.hasOwn(owner, 'serverSideEmit')) owner = Object.getPrototypeOf(owner)
  if (!owner) return true
  const parent: { constructor?: { name?: string } } | null = Object.getPrototypeOf(owner)
  return parent === EventEmitter.prototype || parent?.constructor?.name === 'EventEmitter'
}

/**
 * The Redis adapter ignores the results of its publishes: one that Redis refuses would be an unhandled rejection, which ends the process.
 * `serverSideEmit` is called on an heir of the adapter, whose client collects the results. The adapter itself is not changed.
 */
function withPublishErrors(adapter: Adapter): { guarded: Adapter; sent: Promise<unknown>[] } {
  const sent: Promise<unknown>[] = []
  const { pubClient } = adapter
  if (typeof pubClient !== 'object' || pubClient === null) return { guarded: adapter, sent }
  const watching = new Proxy(pubClient, {
    get(target, key) {
      const value = Reflect.get(target, key, target)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        const result: unknown = value.apply(target, args)
        if (result instanceof Promise) sent.push(result)
        return result
      }
    },
  })
  return { guarded: Object.create(adapter, { pubClient: { value: watching } }), sent }
}
