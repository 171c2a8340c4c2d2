/** The clients and pools of all these libraries are event emitters. */
interface Emitter {
  on(event: string, listener: (...args: never[]) => void): unknown
  off(event: string, listener: (...args: never[]) => void): unknown
  listenerCount(event: string): number
}

/**
 * Watches the Redis adapter's subscriber.
 * @param onResumed is called when it is connected again after it was lost
 * @returns stops watching
 */
export function watchConnection(client: unknown, onResumed: () => void): () => void {
  if (!isEmitter(client)) return () => undefined
  let lost = false
  const onLost = (): void => {
    lost = true
  }
  const onReady = (): void => {
    if (lost) onResumed()
    lost = false
  }
  // node-redis emits `reconnecting` and `ready`, ioredis `close` and `ready`.
  return listen(client, [
    ['reconnecting', onLost],
    ['close', onLost],
    ['end', onLost],
    ['ready', onReady],
  ])
}

/**
 * The Postgres adapter listens on a connection of the pool without an error handler: a lost connection would end the process. This ignores
 * errors of connections in use that have no other handler; a query that is under way rejects all the same.
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
  // Connections that are in use already.
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
