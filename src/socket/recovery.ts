import { AsyncLocalStorage } from 'node:async_hooks'
import type { Namespace, Server, ServerOptions, Socket } from 'socket.io'
import { debug } from '../debug.js'
import type { Member } from '../session/member.js'
import type { SessionReplica } from '../session/replica.js'
import type { EndReason } from '../types.js'
import { MethodPatch } from '../util/method-patch.js'
import { HOLDS_NOTHING } from './explain.js'
import { type HandshakeContext, resolveSession } from './handshake.js'
import { type Connection, type CookieTarget, engineOf, requestOf } from './incoming-handshake.js'
import { SocketMember } from './member.js'
import { roomOf } from './room.js'
import { parseCookies } from './run-session-middleware.js'
import type { SocketRequest } from './socket-request.js'

type Adapter = Namespace['adapter']
type Restore = Adapter['restoreSession']
type Auth = { pid?: unknown; offset?: unknown }
type Add = (client: Connection, auth: Auth, ...rest: unknown[]) => unknown

/** A client that connects to the namespace. */
interface PendingConnect {
  client: Connection
  /** It is about to be recovered. */
  returning?: RecoveryCandidate
}

/** Whoever is about to be recovered, as a member of its session: the session's end is heard from here on. */
interface RecoveryCandidate {
  live: SessionReplica
  place: PlaceholderMember
  parsed: Record<string, unknown>
}

/**
 * Connection state recovery on a namespace. By default socket.io runs no middleware for a socket that it recovers, and asks for nothing
 * but the ids that the client sends. Here it is recovered only if the handshake's cookie names the session that it had, and that session
 * is there; and it has its live session before any listener of 'connection' runs.
 */
export class Recovery {
  readonly #namespace: Namespace
  readonly #reception: HandshakeContext
  readonly #adapters = new Map<Adapter, MethodPatch<'restoreSession'>>()
  readonly #arrivals: MethodPatch<'_add'>
  readonly #coming = new AsyncLocalStorage<PendingConnect>()
  /** Arrivals that are not dealt with yet. */
  #open = 0
  #standing = true

  constructor(namespace: Namespace, reception: HandshakeContext) {
    this.#namespace = namespace
    this.#reception = reception
    this.#arrivals = new MethodPatch(namespace)
    const { connectionStateRecovery } = (namespace.server as unknown as { opts: Partial<ServerOptions> }).opts
    if (connectionStateRecovery) this.#watch()
  }

  /** Lets go of the namespace. */
  close(): void {
    this.#standing = false
    this.#arrivals.restore()
    for (const takeover of this.#adapters.values()) takeover.restore()
    this.#namespace.off('connect', this.#connected)
  }

  #watch(): void {
    // Socket.IO asks the adapter within this call, and does not tell it for whom.
    const { _add: add } = this.#namespace as unknown as { _add: Add }
    this.#arrivals.replace('_add', (client: Connection, auth: Auth, ...rest: unknown[]) => {
      const arrive = (): unknown => add.call(this.#namespace, client, auth, ...rest)
      if (!this.#standing) return arrive()
      this.#ask(this.#namespace.adapter)
      // It is asked nothing otherwise.
      if (auth?.pid === undefined || auth.offset === undefined) return arrive()
      const by: PendingConnect = { client }
      this.#open++
      const added = Promise.resolve(this.#coming.run(by, arrive))
      // By then it has connected, or does not connect as a recovered socket. What a connection handler throws stays a rejection.
      return added.finally(() => {
        by.returning?.live.leave(by.returning.place)
        // Before Node 24 a storage in use makes every promise and every tick of the process dearer.
        if (--this.#open === 0) this.#coming.disable()
      })
    })
    this.#namespace.prependListener('connect', this.#connected)
  }

  /** A server may be given another adapter at any time. */
  #ask(adapter: Adapter): void {
    if (this.#adapters.has(adapter) || typeof adapter.restoreSession !== 'function') return
    const { restoreSession } = adapter
    const takeover = new MethodPatch<'restoreSession'>(adapter)
    this.#adapters.set(adapter, takeover)
    takeover.replace('restoreSession', (async (pid, offset) => {
      const restore = (): ReturnType<Restore> => restoreSession.call(adapter, pid, offset)
      return this.#standing ? this.#restore(this.#coming.getStore(), restore) : restore()
    }) as Restore)
  }

  /** @param by `undefined` for somebody who is not known here, and not recovered */
  async #restore(by: PendingConnect | undefined, restore: () => ReturnType<Restore>): Promise<Awaited<ReturnType<Restore>>> {
    const nobody = null as never
    const returning = by && (await this.#find(by.client).catch(notRecovered))
    if (!by || !returning) return nobody
    const { live, place } = returning
    const restored = await attempt(restore).catch(notRecovered)
    if (!restored || place.end || ![...restored.rooms].includes(roomOf(live.sid))) {
      live.leave(place)
      if (restored) notRecovered(new Error('its handshake names another session than it had, or that one has ended'))
      return nobody
    }
    by.returning = returning
    return restored
  }

  /** The session that the client's cookie names. It is entered, so that its end is heard while the adapter looks. */
  async #find(connection: Connection): Promise<RecoveryCandidate | undefined> {
    const { server } = this.#namespace
    const request = requestOf(connection, server.path())
    const jar: CookieTarget = { headers: request.headers }
    const names = await parseCookies(jar, this.#reception.parser, this.#reception.timeout)
    const parsed = Object.fromEntries(names.map((name) => [name, Reflect.get(jar, name)]))
    const arrival = { request, conn: connection.conn, engine: engineOf(connection, server as unknown as Server), jar }
    let returning: RecoveryCandidate | undefined
    const isSettled = await resolveSession(this.#reception, arrival, ({ visited, session, open }) => {
      if (visited.named !== session.id) return
      const place = new PlaceholderMember(visited.request)
      const live = open()
      live.join(place)
      returning = { live, place, parsed }
    })
    // Its new cookie has left: asked once more, its old one would make it a visitor without a session.
    if (!isSettled) connection.conn.close()
    return returning
  }

  /** Called while the client's arrival is dealt with. */
  #connected = (socket: Socket): void => {
    const by = this.#coming.getStore()
    if (!socket.recovered || !by?.returning) return
    if (!this.#reception.memberOf(socket)) resume(this.#reception, socket, by.returning)
  }
}

function resume(reception: HandshakeContext, socket: Socket, { live, place, parsed }: RecoveryCandidate): void {
  for (const [name, value] of Object.entries(parsed)) {
    Object.defineProperty(socket.handshake, name, { value, writable: true, configurable: true, enumerable: false })
  }
  const member = new SocketMember(reception, socket, place.request, live, HOLDS_NOTHING)
  live.join(member)
  reception.bindSocket(member, Object.keys(parsed))
  const { end } = place
  // Its listeners of 'connection' come first: they are who hears of the end.
  if (end) process.nextTick(() => member.onSessionEnd(end.reason, end.after))
}

function notRecovered(cause: unknown): undefined {
  debug('a socket is not recovered: %s', (cause as Error)?.message)
  return undefined
}

/** An adapter may answer at once or later, and may throw. */
async function attempt<T>(action: () => T): Promise<Awaited<T>> {
  return await action()
}

/** Holds the place of a socket that is not there yet. */
class PlaceholderMember implements Member {
  readonly autoSave = false
  readonly hasChangeListeners = false
  readonly request: SocketRequest
  lastWrite = 0
  lastLost = 0
  refusals = 0
  refused = undefined
  end: { reason: EndReason; after: Promise<unknown> | undefined } | undefined

  constructor(request: SocketRequest) {
    this.request = request
  }

  changed(): void {}

  onSessionEnd(reason: EndReason, after: Promise<unknown> | undefined): void {
    this.end = { reason, after }
  }

  failed(): boolean {
    return false
  }
}
