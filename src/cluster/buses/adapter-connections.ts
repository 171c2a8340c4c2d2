/** What the clients and pools of all these libraries are. */
interface Emitter {
  on(event: string, listener: (...args: never[]) => void): unknown
  off(event: string, listener: (...args: never[]) => void): unknown
  listenerCount(event: string): number
}

/**
 * Notices that the Redis adapter's subscriber was gone and is back.
 * @returns stops following
 */
export function watchConnection(client: unknown, back: () => void): () => void {
  if (!isEmitter(client)) return () => undefined
  let lost = false
  const gone = (): void => {
    lost = true
  }
  const ready = (): void => {
    if (lost) back()
    lost = false
  }
  // node-redis says `reconnecting` and `ready`, ioredis `close` and `ready`.
  return listen(client, [
    ['reconnecting', gone],
    ['close', gone],
    ['end', gone],
    ['ready', ready],
  ])
}

/**
 * The Postgres adapter listens on a connection of the pool without a handler for its errors: one that is lost would end the process. While
 * nobody else handles them, errors of connections that are in use are ignored here; who waits for a query hears of them anyway.
 * @returns leaves the pool as it was
 */
export function guardPool(pool: unknown): () => void {
  if (!isEmitter(pool)) return () => undefined
  const guarded = new Set<Emitter>()
  const ignore = (): void => undefined
  const acquire = (client: unknown): void => {
    if (!isEmitter(client) || guarded.has(client) || client.listenerCount('error') > 0) return
    guarded.add(client)
    client.on('error', ignore)
  }
  const free = (_error: unknown, client: unknown): void => {
    if (!isEmitter(client) || !guarded.delete(client)) return
    client.off('error', ignore)
  }
  // What it holds already is known to nobody else.
  const { _clients: clients } = pool as { _clients?: unknown }
  if (Array.isArray(clients)) for (const client of clients) acquire(client)
  const unlisten = listen(pool, [
    ['acquire', acquire],
    ['release', free],
  ])
  return () => {
    unlisten()
    for (const client of guarded) client.off('error', ignore)
  }
}

function listen(emitter: Emitter, events: [string, (...args: never[]) => void][]): () => void {
  for (const [event, listener] of events) emitter.on(event, listener)
  return () => {
    for (const [event, listener] of events) emitter.off(event, listener)
  }
}

function isEmitter(value: unknown): value is Emitter {
  const { on, off, listenerCount } = Object(value) as Partial<Emitter>
  return typeof on === 'function' && typeof off === 'function' && typeof listenerCount === 'function'
}
