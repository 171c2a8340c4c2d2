/** What the driver needs of a Redis client, whichever it is. */
export interface RedisClient {
  get(key: string): Promise<string | Buffer | null>
  del(keys: string[]): Promise<unknown>
  /** @returns whether the key is there */
  expire(key: string, seconds: number): Promise<boolean>
  exists(key: string): Promise<boolean>
  eval(script: string, keys: string[], values: string[]): Promise<unknown>
  evalSha(name: string, keys: string[], values: string[]): Promise<unknown>
  /** Several keys in one round trip; absent for clusters, whose keys are in several places. */
  getMany?(keys: string[]): Promise<(string | Buffer | null)[]>
  /** The client itself. */
  readonly self: object
  /** What the client puts before every key by itself. */
  readonly keyPrefix: string
  /** Keys are in slots: a channel is best in that of its key. */
  readonly isCluster: boolean
  /** Two different answers: what was sent in between may have been sent again by the client itself. `undefined`: it cannot tell. */
  connection(): unknown
}

/** node-redis (4 and later, its pools and clusters): commands in camel case, an object for keys and arguments. */
interface NodeRedis extends Common {
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>
  evalSha(name: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>
  mGet?(keys: string[]): Promise<(string | Buffer | null)[]>
}

/** ioredis and its clusters: commands in lower case, everything in one list. */
interface IoRedis extends Common {
  eval(script: string, keys: number, ...values: string[]): Promise<unknown>
  evalsha(name: string, keys: number, ...values: string[]): Promise<unknown>
  mget?(keys: string[]): Promise<(string | Buffer | null)[]>
  options?: { keyPrefix?: string }
}

interface Common {
  get(key: string): Promise<string | Buffer | null>
  del(keys: string[]): Promise<unknown>
  expire(key: string, seconds: number): Promise<number | boolean>
  exists?(key: string): Promise<number | boolean>
}

/** The client behind one face; `undefined` for what is not a client that runs scripts and answers with promises. */
export function toRedisClient(client: unknown): RedisClient | undefined {
  if (!can<Common>(client, 'get', 'del', 'expire') || callsBack(client)) return undefined
  if (can<NodeRedis>(client, 'evalSha', 'eval')) {
    return {
      ...common(client),
      eval: (script, keys, values) => client.eval(script, { keys, arguments: values }),
      evalSha: (name, keys, values) => client.evalSha(name, { keys, arguments: values }),
      ...(can<Required<NodeRedis>>(client, 'mGet') && !isCluster(client) && { getMany: (keys) => client.mGet(keys) }),
      keyPrefix: '',
      // It gives up what it has sent when the connection is lost.
      connection: () => 'never sent again',
    }
  }
  if (can<IoRedis>(client, 'evalsha', 'eval')) {
    return {
      ...common(client),
      eval: (script, keys, values) => client.eval(script, keys.length, ...keys, ...values),
      evalSha: (name, keys, values) => client.evalsha(name, keys.length, ...keys, ...values),
      ...(can<Required<IoRedis>>(client, 'mget') && !isCluster(client) && { getMany: (keys) => client.mget(keys) }),
      get keyPrefix() {
        return client.options?.keyPrefix ?? ''
      },
      connection: () => epochs(client),
    }
  }
  return undefined
}

/** ioredis and the nodes of its clusters count their connections, and send again on the next one. */
function epochs(client: object): unknown {
  const { connectionEpoch, nodes } = client as Counted & { nodes?: unknown }
  if (typeof nodes !== 'function') return connectionEpoch
  const all = nodes.call(client) as Counted[]
  return all.map(({ connectionEpoch, options }) => `${options?.host}:${options?.port} ${connectionEpoch}`).join()
}

interface Counted {
  connectionEpoch?: number
  options?: { host?: string; port?: number }
}

/** Both libraries' clusters know their slots; ioredis says so by a flag. */
function isCluster(client: object): boolean {
  return 'slots' in client || (client as { isCluster?: unknown }).isCluster === true
}

function common(client: Common): Pick<RedisClient, 'get' | 'del' | 'expire' | 'exists' | 'isCluster' | 'self'> {
  return {
    self: client,
    isCluster: isCluster(client),
    get: (key) => client.get(key),
    del: (keys) => client.del(keys),
    // A number from Redis, a boolean from node-redis 4.
    expire: async (key, seconds) => Number(await client.expire(key, seconds)) === 1,
    // What connect-redis 7 and 8 have for a client cannot do it.
    exists: async (key) => Number(client.exists ? await client.exists(key) : (await client.get(key)) !== null) === 1,
  }
}

/** node-redis up to 3, and 4 in the legacy mode that connect-redis 6 wants, have the same names and no promises. */
function callsBack(client: object & { options?: { legacyMode?: boolean } }): boolean {
  return 'internal_send_command' in client || client.options?.legacyMode === true
}

/** Nothing was done: the server's own error, as both libraries call it, or one of a client that had no connection to send on. */
export function isUndone(error: unknown): boolean {
  for (let type = Object(error); type; type = Object.getPrototypeOf(type)) {
    if (UNDONE.includes(type.name) || UNDONE.includes(type.constructor?.name)) return true
  }
  return false
}

const UNDONE = ['ReplyError', 'ErrorReply', 'ClientClosedError', 'ClientOfflineError']

function can<T>(client: unknown, ...methods: string[]): client is T & object {
  return methods.every((name) => typeof (client as Record<string, unknown> | null | undefined)?.[name] === 'function')
}
