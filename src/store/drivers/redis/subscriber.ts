import { getOrInsert } from '../../../util/maps.js'
import { asPromise } from '../../../util/promises.js'
import type { SubscriberConnection, SubscriberEndpoint, SubscriberListener } from '../subscriber/connection.js'
import { type Cluster, can, type IoRedis, isIoRedisCluster, isNodeRedisCluster, isSharded, type NodeRedis } from './client.js'
import { hashSlot } from './hash-slot.js'

/**
 * Makes connections for subscriptions like the application's client, which itself is left alone.
 * @returns where to subscribe to a channel, `undefined` while a cluster does not know its nodes; or `undefined` at once for a client that
 * cannot make another one of its kind
 */
export function subscriberEndpoints(client: object): ((channel: string) => SubscriberEndpoint | undefined) | undefined {
  if (isNodeRedisCluster(client)) {
    const sharded = isSharded(client) ? client : undefined
    return (channel) => {
      const node = client.slots[hashSlot(channel)]?.master
      if (!node) return undefined
      const getClient = async (): Promise<NodeRedis> => client.nodeClient(node)
      return { name: String(node.address), open: (listener) => nodeRedisSubscriber(getClient, sharded, listener) }
    }
  }
  if (isIoRedisCluster(client)) {
    const sharded = isSharded(client) ? client : undefined
    return (channel) => {
      const name = client.slots[hashSlot(channel)]?.[0]
      const node = client.nodes('master').find(({ options }) => `${options?.host}:${options?.port}` === name)
      return node && { name: String(name), open: (listener) => ioRedisSubscriber(node, sharded, listener) }
    }
  }
  // Pools have neither of these.
  if (can<NodeRedis>(client, 'duplicate', 'unref', 'subscribe')) {
    return () => ({ name: '', open: (listener) => nodeRedisSubscriber(async () => client, undefined, listener) })
  }
  if (can<IoRedis>(client, 'duplicate', 'psubscribe', 'disconnect')) {
    return () => ({ name: '', open: (listener) => ioRedisSubscriber(client, undefined, listener) })
  }
  return undefined
}

/** @param cluster that the client is a node of, where it has sharded pub/sub */
function nodeRedisSubscriber(
  getClient: () => Promise<NodeRedis>,
  cluster: Cluster | undefined,
  listener: SubscriberListener,
): SubscriberConnection {
  let own: NodeRedis | undefined
  let destroyed = false
  const onMessage = (text: string, channel: string): void => listener.message(String(channel), String(text))
  const connected = (): NodeRedis => {
    if (!own) throw new Error('it is not connected')
    return own
  }
  return {
    async connect() {
      const client = await getClient()
      if (destroyed) return
      // Reconnecting is the caller's: only it knows what was missed.
      own = client.duplicate({ socket: { ...client.options?.socket, reconnectStrategy: false } })
      own.on('error', () => listener.lost())
      own.on('end', () => listener.lost())
      // The node has ended a subscription, as another one has the slot.
      own.on('sharded-channel-moved', () => listener.lost())
      const connecting = own.connect()
      own.unref()
      await connecting
      own.unref()
      if (destroyed) end(own)
    },
    ...commandsOn(cluster, {
      subscribe: (channels) => connected().subscribe(channels, onMessage),
      unsubscribe: (channels) => connected().unsubscribe(channels),
      ssubscribe: (channels) => connected().sSubscribe(channels, onMessage),
      sunsubscribe: (channels) => connected().sUnsubscribe(channels),
    }),
    ping: async () => connected().ping(),
    destroy() {
      destroyed = true
      if (own) end(own)
    },
  }
}

/** Called twice, or before it was connected, it throws or rejects, by version. */
function end(client: NodeRedis): void {
  try {
    if (client.destroy) client.destroy()
    else client.disconnect().catch(() => undefined)
  } catch {
    // It is closed already.
  }
}

function ioRedisSubscriber(client: IoRedis, cluster: Cluster | undefined, listener: SubscriberListener): SubscriberConnection {
  const own = client.duplicate({
    lazyConnect: true,
    // Reconnecting is the caller's: only it knows what was missed.
    retryStrategy: () => null,
    reconnectOnError: null,
    autoResubscribe: false,
    maxRetriesPerRequest: null,
    keyPrefix: '',
  })
  own.on('error', () => listener.lost())
  own.on('end', () => listener.lost())
  // The node has ended a subscription, as another one has the slot.
  own.on('moved', () => listener.lost())
  own.on('connect', () => own.stream?.unref?.())
  const onMessage = (channel: string, text: string): void => listener.message(channel, text)
  own.on('message', onMessage as never)
  own.on('smessage', onMessage as never)
  return {
    connect: async () => {
      const connecting = own.connect()
      own.stream?.unref?.()
      await connecting
      own.stream?.unref?.()
    },
    ...commandsOn(cluster, {
      subscribe: (channels) => own.subscribe(...channels),
      unsubscribe: (channels) => own.unsubscribe(...channels),
      ssubscribe: (channels) => own.ssubscribe(...channels),
      sunsubscribe: (channels) => own.sunsubscribe(...channels),
    }),
    ping: async () => own.ping(),
    destroy: () => own.disconnect(),
  }
}

type Send = (channels: string[]) => Promise<unknown>

/** Those of a connection to a node of a sharded cluster are sharded. Before Redis 7 there is no such command: plain messages go to every node. */
function commandsOn(
  cluster: Cluster | undefined,
  commands: Record<'subscribe' | 'unsubscribe' | 'ssubscribe' | 'sunsubscribe', Send>,
): Pick<SubscriberConnection, 'subscribe' | 'unsubscribe'> {
  let isSharded = true
  const by =
    (name: 'subscribe' | 'unsubscribe') =>
    async (channels: string[]): Promise<unknown> => {
      if (!cluster || !isSharded) return commands[name](channels)
      try {
        return await eachSlot(channels, cluster, commands[`s${name}`])
      } catch (error) {
        if (!/^ERR unknown command/i.test(String((error as Error | undefined)?.message))) throw error
        isSharded = false
        return commands[name](channels)
      }
    }
  return { subscribe: by('subscribe'), unsubscribe: by('unsubscribe') }
}

/** Sharded pub/sub takes the channels of one hash slot in a command. */
function eachSlot(channels: string[], cluster: Cluster, send: Send): Promise<unknown> {
  const slots = new Map<number, string[]>()
  for (const channel of channels) getOrInsert(slots, hashSlot(channel), () => []).push(channel)
  return Promise.all(
    [...slots.values()].map((some) => asPromise(() => send(some)).catch((error) => relocate(cluster, some, error))),
  )
}

/** The cluster looks for its slots again when a command of its own is refused: it may have sent none to this slot since that has moved. */
async function relocate(cluster: Cluster, [channel]: string[], error: unknown): Promise<never> {
  if (String((error as Error | undefined)?.message).startsWith('MOVED')) await cluster.get(String(channel)).catch(() => undefined)
  throw error
}
