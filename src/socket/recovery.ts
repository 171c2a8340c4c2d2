import type { Namespace, Socket } from 'socket.io'
import { debug } from '../debug.js'
import type { LiveSession } from '../session/live.js'
import type { Member } from '../session/member.js'
import { Takeover } from '../store/takeover.js'
import type { EndReason } from '../types.js'
import { type Connection, type Engine, type Jar, requestOf } from './arrival.js'
import { type Reception, settle } from './handshake.js'
import { SocketMember } from './member.js'
import { roomOf } from './room.js'
import { parse, type SocketRequest } from './visit.js'

type Adapter = Namespace['adapter']
type Restore = Adapter['restoreSession']
type Add = (client: Connection, ...rest: unknown[]) => unknown

/** Whoever is about to be recovered, as a member of its session: the session's end is heard from here on. */
interface Returning {
  live: LiveSession
  place: Place
  parsed: Record<string, unknown>
}

/**
 * Watches connection state recovery on a namespace. By default socket.io runs no middleware for a socket that it recovers, and asks
 * for nothing but the ids that the client sends. Here it is recovered only if the handshake's cookie names the session that it had, and
 * that session is there; and it has its live session before any listener of 'connection' runs.
 * @returns lets go of the namespace
 */
export function watchRecovery(namespace: Namespace, reception: Reception): () => void {
  const { server } = namespace
  const takeovers = new Map<object, Takeover<'restoreSession'>>()
  /** By the id of the socket that it was, and will be. */
  const returning = new Map<string, Returning>()
  let standing = true
  let coming: Connection | undefined

  const restoring = (adapter: Adapter): void => {
    if (takeovers.has(adapter) || typeof adapter.restoreSession !== 'function') return
    const { restoreSession } = adapter
    const takeover = new Takeover<'restoreSession'>(adapter)
    takeovers.set(adapter, takeover)
    takeover.put('restoreSession', (async (pid, offset) => {
      const connection = coming
      if (!standing || !connection) return restoreSession.call(adapter, pid, offset)
      const found = await find(connection).catch((cause) => debug('a socket is not recovered: %s', cause?.message))
      const restored = found && (await restore(() => restoreSession.call(adapter, pid, offset)))
      const { live, place } = found ?? {}
      if (!restored || !live || place?.end || ![...restored.rooms].includes(roomOf(live.sid))) {
        if (restored) debug('a socket is not recovered: the handshake names another session than it had, or that one has ended')
        if (place) live?.leave(place)
        return null as never
      }
      returning.set(restored.sid, found as Returning)
      // It connects before this turn is over, or it does not.
      setImmediate(() => leave(restored.sid))
      return restored
    }) as Restore)
  }

  const find = async (connection: Connection): Promise<Returning | undefined> => {
    const request = requestOf(connection, server.path())
    const jar: Jar = { headers: request.headers }
    const names = await parse(jar, reception.parser, reception.timeout)
    const parsed = Object.fromEntries(names.map((name) => [name, Reflect.get(jar, name)]))
    let found: Returning | undefined
    const arrival = { request, conn: connection.conn, engine: server.engine as unknown as Engine, jar }
    await settle(reception, arrival, ({ visited, session, open }) => {
      if (visited.named !== session.id) return
      const place = new Place(visited.request)
      const live = open()
      live.join(place)
      found = { live, place, parsed }
    })
    return found
  }

  const leave = (id: string): Returning | undefined => {
    const found = returning.get(id)
    returning.delete(id)
    found?.live.leave(found.place)
    return found
  }

  // Socket.IO asks the adapter within this call and does not tell it for whom.
  const { add } = namespace as unknown as { add: Add }
  const takeover = new Takeover<'add'>(namespace)
  takeover.put('add', (client: Connection, ...rest: unknown[]) => {
    if (standing) restoring(namespace.adapter)
    coming = client
    try {
      return add.call(namespace, client, ...rest)
    } finally {
      coming = undefined
    }
  })
  const connected = (socket: Socket): void => {
    const found = standing && socket.recovered ? returning.get(socket.id) : undefined
    if (!found || reception.memberOf(socket)) return
    resume(reception, socket, found)
    leave(socket.id)
  }
  namespace.prependListener('connect', connected)

  return () => {
    standing = false
    takeover.restore()
    for (const each of takeovers.values()) each.restore()
    namespace.off('connect', connected)
    for (const id of [...returning.keys()]) leave(id)
  }
}

function resume(reception: Reception, socket: Socket, { live, place, parsed }: Returning): void {
  for (const [name, value] of Object.entries(parsed)) {
    Object.defineProperty(socket.handshake, name, { value, writable: true, configurable: true, enumerable: false })
  }
  const member = new SocketMember(
    reception,
    socket,
    place.request,
    live,
    'The session was found in the store, and holds no data.',
  )
  live.join(member)
  reception.follow(member, Object.keys(parsed))
  const { end } = place
  // Its listeners of 'connection' come first: they are who hears of the end.
  if (end) process.nextTick(() => member.ended(end.reason, end.after))
}

/** An adapter that fails recovers nobody. */
async function restore<T>(ask: () => T): Promise<Awaited<T> | undefined> {
  try {
    return await ask()
  } catch (cause) {
    debug('a socket is not recovered: %s', (cause as Error)?.message)
    return undefined
  }
}

/** Holds the place of a socket that is not there yet. */
class Place implements Member {
  readonly autoSave = false
  readonly request: SocketRequest
  lastWrite = 0
  lastLost = 0
  end: { reason: EndReason; after: Promise<unknown> | undefined } | undefined

  constructor(request: SocketRequest) {
    this.request = request
  }

  changed(): void {}

  ended(reason: EndReason, after: Promise<unknown> | undefined): void {
    this.end = { reason, after }
  }

  failed(): boolean {
    return false
  }
}
