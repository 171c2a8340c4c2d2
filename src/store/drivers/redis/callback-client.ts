/** node-redis up to 3. Its commands call back. */
interface CallbackRedis {
  on(event: string, listener: (...args: never[]) => void): unknown
  once(event: string, listener: (...args: never[]) => void): unknown
  duplicate(options: object): CallbackRedis
  unref(): void
  end(flush: boolean): void
  options?: { prefix?: string; retry_unfulfilled_commands?: boolean }
}

/** node-redis 4 in the mode in which its commands call back. */
interface LegacyRedis {
  /** The same commands, with promises. */
  v4: object
  options?: object
  duplicate(options: object): unknown
  unref(): void
}

/**
 * The clients that connect-redis 4 to 6 want, with promises.
 * @returns `undefined` for a client that cannot make another one of its kind
 */
export function withPromises(client: object): object | undefined {
  const { duplicate, v4 } = client as { duplicate?: unknown; v4?: unknown }
  if (typeof duplicate !== 'function') return undefined
  if ('internal_send_command' in client) return ofNodeRedis3(client as unknown as CallbackRedis)
  return typeof v4 === 'object' ? ofLegacyMode(client as LegacyRedis) : undefined
}

function ofLegacyMode(client: LegacyRedis): object {
  return Object.assign(Object.create(client.v4), {
    options: client.options,
    unref: () => client.unref(),
    duplicate: (options: object) => client.duplicate({ ...options, legacyMode: false }),
  })
}

/** As ioredis has them. */
function ofNodeRedis3(client: CallbackRedis): object {
  return {
    ...commandsOf(client, ['get', 'del', 'expire', 'exists', 'eval', 'evalsha', 'mget']),
    options: { keyPrefix: client.options?.prefix ?? '' },
    // Unless it is configured to send again, what was sent when the connection was lost fails.
    connectionEpoch: client.options?.retry_unfulfilled_commands ? undefined : 0,
    psubscribe() {},
    disconnect() {},
    duplicate: () => subscriberLike(client),
  }
}

function subscriberLike(client: CallbackRedis): object {
  const own = client.duplicate({ retry_strategy: () => undefined })
  const ready = new Promise<void>((resolve, reject) => {
    own.once('ready', resolve)
    own.once('error', reject)
    own.once('end', () => reject(new Error('the connection has ended')))
  })
  ready.catch(() => undefined)
  return {
    ...commandsOf(own, ['subscribe', 'unsubscribe', 'ping']),
    on: (event: string, listener: (...args: never[]) => void) => own.on(event, listener),
    connect: () => ready,
    stream: { unref: () => own.unref() },
    disconnect: () => own.end(true),
  }
}

/** Each with a promise in place of the callback. */
function commandsOf(client: object, names: readonly string[]): Record<string, (...args: unknown[]) => Promise<unknown>> {
  const commands = client as Record<string, (...args: unknown[]) => unknown>
  const withPromise =
    (name: string) =>
    (...args: unknown[]): Promise<unknown> =>
      new Promise((resolve, reject) => {
        commands[name]?.(...args, (error: unknown, reply: unknown) => (error ? reject(error) : resolve(reply)))
      })
  return Object.fromEntries(names.map((name) => [name, withPromise(name)]))
}
