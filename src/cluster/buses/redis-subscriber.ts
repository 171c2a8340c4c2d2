import { hashSlot } from './hash-slot.js'
import type { Connection } from './subscriber.js'

/** What a subscriber tells. */
export interface SubscriberListener {
  message(channel: string, text: string): void
  /** The connection is gone, or is no good. Called at least once for that. */
  lost(): void
}

/** Where to listen to a channel. */
export interface SubscriberEndpoint {
  /** The same for channels that one connection serves. */
  name: string
  open(listener: SubscriberListener): Connection
}

type Emitting = { on(event: string, listener: (...args: never[]) => void): unknown }

/** A node-redis client. */
interface NodeRedis extends Emitting {
  options?: { socket?: object }
  duplicate(overrides?: object): NodeRedis
  connect(): Promise<unknown>
  subscribe(channel: string, listener: (text: string, channel: string) => void): Promise<unknown>
  sSubscribe?(channel: string, listener: (text: string, channel: string) => void): Promise<unknown>
  unsubscribe(channel: string): Promise<unknown>
  sUnsubscribe?(channel: string): Promise<unknown>
  ping(): Promise<unknown>
  unref(): void
  destroy?(): void
  disconnect(): Promise<unknown>
}

interface NodeRedisCluster {
  slots: { master: object }[]
  nodeClient(node: object): NodeRedis | Promise<NodeRedis>
}

/** An ioredis client. */
interface IoRedis extends Emitting {
  options: { host?: string; port?: number }
  stream?: { unref?(): void }
  duplicate(overrides?: object): IoRedis
  connect(): Promise<unknown>
  subscribe(channel: string): Promise<unknown>
  ssubscribe?(channel: string): Promise<unknown>
  unsubscribe(channel: string): Promise<unknown>
  sunsubscribe?(channel: string): Promise<unknown>
  ping(): Promise<unknown>
  disconnect(): void
}

interface IoRedisCluster {
  isCluster: true
  slots: string[][]
  nodes(role: 'master'): IoRedis[]
}

/**
 * Where channels are listened to, by the application's client, which itself stays as it is.
 * @returns `undefined` for a client that cannot make another one of its kind
 */
export function subscriberEndpoints(client: object): ((channel: string) => SubscriberEndpoint | undefined) | undefined {
  if (can<NodeRedisCluster>(client, 'nodeClient') && 'slots' in client) return (channel) => nodeRedisNode(client, channel)
  if ((client as Partial<IoRedisCluster>).isCluster) return (channel) => ioRedisNode(client as IoRedisCluster, channel)
  // Pools have neither of these.
  if (can<NodeRedis>(client, 'duplicate', 'sSubscribe', 'unref') || can<NodeRedis>(client, 'duplicate', 'subscribe', 'unref')) {
    return () => ({ name: '', open: (listener) => fromNodeRedis(async () => client, false, listener) })
  }
  if (can<IoRedis>(client, 'duplicate', 'psubscribe', 'disconnect')) {
    return () => ({ name: '', open: (listener) => fromIoRedis(client, false, listener) })
  }
  return undefined
}

function nodeRedisNode(cluster: NodeRedisCluster, channel: string): SubscriberEndpoint | undefined {
  const node = cluster.slots[hashSlot(channel)]?.master
  if (!node) return undefined
  const { address } = node as { address?: string }
  return { name: String(address), open: (listener) => fromNodeRedis(async () => cluster.nodeClient(node), true, listener) }
}

function ioRedisNode(cluster: IoRedisCluster, channel: string): SubscriberEndpoint | undefined {
  const name = cluster.slots[hashSlot(channel)]?.[0]
  const node = cluster.nodes('master').find(({ options }) => `${options.host}:${options.port}` === name)
  return node && { name: String(name), open: (listener) => fromIoRedis(node, true, listener) }
}

function fromNodeRedis(of: () => Promise<NodeRedis>, sharded: boolean, listener: SubscriberListener): Connection {
  let mine: NodeRedis | undefined
  let destroyed = false
  const heard = (text: string, channel: string): void => listener.message(String(channel), String(text))
  const connected = (): NodeRedis => mine ?? never()
  return {
    async connect() {
      const client = await of()
      if (destroyed) return
      // Coming back is the caller's: only it knows what was missed.
      mine = client.duplicate({ socket: { ...client.options?.socket, reconnectStrategy: false } })
      mine.on('error', () => listener.lost())
      mine.on('end', () => listener.lost())
      const connecting = mine.connect()
      mine.unref()
      await connecting
      mine.unref()
      if (destroyed) end(mine)
    },
    subscribe: async (channel) => {
      const client = connected()
      await (sharded && client.sSubscribe ? client.sSubscribe(channel, heard) : client.subscribe(channel, heard))
    },
    unsubscribe: async (channel) => {
      const client = connected()
      await (sharded && client.sUnsubscribe ? client.sUnsubscribe(channel) : client.unsubscribe(channel))
    },
    ping: async () => connected().ping(),
    destroy() {
      destroyed = true
      if (mine) end(mine)
    },
  }
}

/** Called twice, or before it was connected, it throws or rejects, by version. */
function end(client: NodeRedis): void {
  try {
    if (client.destroy) client.destroy()
    else client.disconnect().catch(() => undefined)
  } catch {
    // It is gone already.
  }
}

function fromIoRedis(client: IoRedis, sharded: boolean, listener: SubscriberListener): Connection {
  const mine = client.duplicate({
    lazyConnect: true,
    // Coming back is the caller's: only it knows what was missed.
    retryStrategy: () => null,
    reconnectOnError: null,
    autoResubscribe: false,
    maxRetriesPerRequest: null,
    keyPrefix: '',
  })
  mine.on('error', () => listener.lost())
  mine.on('end', () => listener.lost())
  mine.on('connect', () => mine.stream?.unref?.())
  mine.on(sharded ? 'smessage' : 'message', ((channel: string, text: string) => listener.message(channel, text)) as never)
  return {
    connect: async () => {
      const connecting = mine.connect()
      mine.stream?.unref?.()
      await connecting
      mine.stream?.unref?.()
    },
    subscribe: async (channel) => (sharded && mine.ssubscribe ? mine.ssubscribe(channel) : mine.subscribe(channel)),
    unsubscribe: async (channel) => (sharded && mine.sunsubscribe ? mine.sunsubscribe(channel) : mine.unsubscribe(channel)),
    ping: async () => mine.ping(),
    destroy: () => mine.disconnect(),
  }
}

function never(): never {
  throw new Error('it is not connected')
}

function can<T>(client: unknown, ...methods: string[]): client is T & object {
  return methods.every((name) => typeof (client as Record<string, unknown> | null | undefined)?.[name] === 'function')
}
