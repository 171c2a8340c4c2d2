import { withoutContents } from '../errors.js'
import { withPromises } from './callback-client.js'

/** What the driver needs of a Redis client, whichever library it is of. */
export interface RedisClient {
  get(key: string): Promise<string | Buffer | null>
  del(keys: string[]): Promise<unknown>
  /** @returns whether the key is there */
  expire(key: string, seconds: number): Promise<boolean>
  exists(key: string): Promise<boolean>
  eval(script: string, keys: string[], values: string[]): Promise<unknown>
  evalSha(sha: string, keys: string[], values: string[]): Promise<unknown>
  /** Several keys in one round trip; absent for clusters, whose keys are in several places. */
  getMany?(keys: string[]): Promise<(string | Buffer | null)[]>
  /** The application's own client. */
  readonly self: object
  /** The client puts it before every key. */
  readonly keyPrefix: string
  /** On a cluster, a message is published in the slot of its session's key. */
  readonly isCluster: boolean
  /** It may answer a read with less than the master holds: from a replica, or from a cache of its own. Scripts run on the master. */
  readsElsewhere(): boolean
  /**
   * Names the present connection. Two different answers: what was sent in between may have been sent again by the client library.
   * `undefined`: it cannot tell.
   */
  connection(): unknown
}

/** The commands that both libraries call the same. */
interface Commands {
  get(key: string): Promise<string | Buffer | null>
  del(keys: string[]): Promise<unknown>
  expire(key: string, seconds: number): Promise<number | boolean>
  exists?(key: string): Promise<number | boolean>
}

interface Subscribing {
  on(event: string, listener: (...args: never[]) => void): unknown
  connect(): Promise<unknown>
  ping(): Promise<unknown>
}

/** node-redis (4 and later): commands in camel case, an object for keys and arguments. Its pools and clusters have the commands only. */
export interface NodeRedis extends Commands, Subscribing {
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>
  evalSha(sha: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>
  mGet(keys: string[]): Promise<(string | Buffer | null)[]>
  options?: { socket?: object; commandOptions?: { timeout?: number } }
  readonly isReady: boolean
  withCommandOptions(options: { timeout: undefined }): NodeRedis
  duplicate(overrides?: object): NodeRedis
  subscribe(channels: string[], listener: (text: string, channel: string) => void): Promise<unknown>
  unsubscribe(channels: string[]): Promise<unknown>
  sSubscribe(channels: string[], listener: (text: string, channel: string) => void): Promise<unknown>
  sUnsubscribe(channels: string[]): Promise<unknown>
  unref(): void
  destroy?(): void
  disconnect(): Promise<unknown>
}

/** Sends each command to the node that has its key. */
export type Cluster = Pick<Commands, 'get'>

export interface NodeRedisCluster extends Cluster {
  slots: { master: { address?: string } }[]
  nodeClient(node: object): NodeRedis | Promise<NodeRedis>
}

/** ioredis: commands in lower case, everything in one list. Its clusters have the commands only. */
export interface IoRedis extends Commands, Subscribing {
  eval(script: string, keys: number, ...values: string[]): Promise<unknown>
  evalsha(sha: string, keys: number, ...values: string[]): Promise<unknown>
  mget(keys: string[]): Promise<(string | Buffer | null)[]>
  options?: { keyPrefix?: string; host?: string; port?: number }
  /** Counts the connections. */
  connectionEpoch?: number
  stream?: { unref?(): void }
  duplicate(overrides?: object): IoRedis
  subscribe(...channels: string[]): Promise<unknown>
  unsubscribe(...channels: string[]): Promise<unknown>
  ssubscribe(...channels: string[]): Promise<unknown>
  sunsubscribe(...channels: string[]): Promise<unknown>
  disconnect(): void
}

export interface IoRedisCluster extends Cluster {
  slots: string[][]
  nodes(role?: 'master'): IoRedis[]
}

/** So many commands may be on their way to node-redis' server without a bound of their own. */
const MOST_OUTSTANDING = 5000

/** The client behind one interface; `undefined` for anything but a client that runs scripts. */
export function toRedisClient(given: unknown): RedisClient | undefined {
  if (!can<Commands>(given, 'get', 'del', 'expire')) return undefined
  const client = callsBack(given) ? withPromises(given) : given
  if (!can<Commands>(client, 'get', 'del', 'expire')) return undefined
  const isCluster = 'slots' in client
  const callReady = callerOf(client)
  const call: typeof callReady = async (command) => {
    try {
      return await callReady(command)
    } catch (error) {
      throw withoutContents(error)
    }
  }
  const common = {
    self: client,
    isCluster,
    readsElsewhere: () => readsElsewhere(client),
    get: (key: string) => call((ready) => ready.get(key)),
    del: (keys: string[]) => call((ready) => ready.del(keys)),
    // A number from Redis, a boolean from node-redis 4.
    expire: async (key: string, seconds: number) => Number(await call((ready) => ready.expire(key, seconds))) === 1,
    // The client object of connect-redis 7 and 8 has no `exists`.
    exists: async (key: string) =>
      Number(await call((ready) => ready.exists?.(key) ?? ready.get(key).then((found) => found !== null))) === 1,
  }
  if (can<NodeRedis>(client, 'evalSha', 'eval')) {
    return {
      ...common,
      eval: (script, keys, values) => call(() => client.eval(script, { keys, arguments: values })),
      evalSha: (sha, keys, values) => call((ready) => (ready as typeof client).evalSha(sha, { keys, arguments: values })),
      ...(can(client, 'mGet') && !isCluster && { getMany: (keys: string[]) => call(() => client.mGet(keys)) }),
      keyPrefix: '',
      // It gives up what it has sent when the connection is lost. A sentinel sends it again to the next master.
      connection: () => (isSentinel(client) ? undefined : 'never sent again'),
    }
  }
  if (can<IoRedis>(client, 'evalsha', 'eval')) {
    return {
      ...common,
      eval: (script, keys, values) => call(() => client.eval(script, keys.length, ...keys, ...values)),
      evalSha: (sha, keys, values) => call(() => client.evalsha(sha, keys.length, ...keys, ...values)),
      ...(can(client, 'mget') && !isCluster && { getMany: (keys: string[]) => call(() => client.mget(keys)) }),
      get keyPrefix() {
        return client.options?.keyPrefix ?? ''
      },
      // It sends again on its next connection.
      connection: () => epochsOf(client),
    }
  }
  return undefined
}

/**
 * Calls commands. node-redis bounds how long a command waits for a connection, by a signal, a timer and a listener for each: they cost as
 * much as the rest of the command. A connected client needs none, as whoever waits for an answer has a bound of its own. Its bound counts
 * while it is not connected or many answers are outstanding, so that commands do not pile up, and wherever the application has chosen one.
 */
function callerOf<Client extends Commands>(client: Client): <T>(command: (ready: Client) => Promise<T>) => Promise<T> {
  const { options, isReady } = client as unknown as Partial<NodeRedis>
  const isChosen = options?.commandOptions?.timeout !== undefined
  if (isReady === undefined || isChosen || !can<NodeRedis>(client, 'withCommandOptions')) return (command) => command(client)
  // What it returns lacks the methods that the application puts over those of its client: only its options are taken.
  const withOptions = Object.getOwnPropertyDescriptors(client.withCommandOptions({ timeout: undefined }))
  const unbounded: Client = Object.create(client, withOptions)
  let outstanding = 0
  const answered = (): void => void outstanding--
  return (command) => {
    if (!client.isReady || outstanding >= MOST_OUTSTANDING) return command(client)
    const answer = command(unbounded)
    outstanding++
    answer.then(answered, answered)
    return answer
  }
}

function epochsOf(client: IoRedis | IoRedisCluster): unknown {
  if (!isIoRedisCluster(client)) return client.connectionEpoch
  return client
    .nodes()
    .map(({ connectionEpoch, options }) => `${options?.host}:${options?.port} ${connectionEpoch}`)
    .join()
}

/** Nothing was done: the server's own error, as both libraries call it, or one of a client that had no connection to send on. */
export function isUndone(error: unknown): boolean {
  for (let type = Object(error); type; type = Object.getPrototypeOf(type)) {
    if (UNDONE.includes(type.name) || UNDONE.includes(type.constructor?.name)) return true
  }
  return false
}

const UNDONE = ['ReplyError', 'ErrorReply', 'ClientClosedError', 'ClientOfflineError']

/** node-redis up to 3, and 4 in the legacy mode that connect-redis 6 wants, have the same names and no promises: see callback-client.ts. */
function callsBack(client: object & { options?: { legacyMode?: boolean } }): boolean {
  return 'internal_send_command' in client || client.options?.legacyMode === true
}

/** By public members of both libraries. A cluster shows its replicas when it is connected, and a sentinel does not tell whether it reads there. */
function readsElsewhere(client: object): boolean {
  const { clientSideCache, replicas, options } = client as Elsewhere
  if (clientSideCache !== undefined || isSentinel(client)) return true
  return isIoRedisCluster(client) ? options?.scaleReads !== 'master' : replicas !== undefined && replicas.length > 0
}

interface Elsewhere {
  readonly clientSideCache?: object
  /** Of a cluster of node-redis. Empty, unless it reads there. */
  readonly replicas?: readonly unknown[]
  /** Of a cluster of ioredis. */
  readonly options?: { readonly scaleReads?: unknown }
}

/** That of node-redis. */
function isSentinel(client: object): boolean {
  return can(client, 'getReplicaNodes')
}

export function isNodeRedisCluster(client: object): client is NodeRedisCluster {
  return can(client, 'nodeClient') && 'slots' in client
}

export function isIoRedisCluster(client: object): client is IoRedisCluster {
  return can(client, 'nodes') && 'slots' in client
}

/** Is it a cluster by which sharded pub/sub can be used? ioredis 4 does not know it: plain messages go to every node. */
export function isSharded(client: object): boolean {
  return 'slots' in client && (can(client, 'sSubscribe') || can(client, 'ssubscribe'))
}

export function can<T extends object = object>(client: unknown, ...methods: string[]): client is T {
  return methods.every((name) => typeof (client as Record<string, unknown> | null | undefined)?.[name] === 'function')
}
