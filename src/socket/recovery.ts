import { AsyncLocalStorage } from 'node:async_hooks'
import type { Namespace, Server, ServerOptions, Socket } from 'socket.io'
import { debug } from '../debug.js'
import type { LiveSession } from '../session/live.js'
import type { Member } from '../session/member.js'
import { Takeover } from '../store/takeover.js'
import type { EndReason } from '../types.js'
import { type Connection, engineOf, type Jar, requestOf } from './arrival.js'
import { HOLDS_NOTHING } from './explain.js'
import { type Reception, settle } from './handshake.js'
import { SocketMember } from './member.js'
import type { SocketRequest } from './own-request.js'
import { roomOf } from './room.js'
import { parse } from './visit.js'

type Adapter = Namespace['adapter']
type Restore = Adapter['restoreSession']
type Auth = { pid?: unknown; offset?: unknown }
type Add = (client: Connection, auth: Auth, ...rest: unknown[]) => unknown

/** A client that connects to the namespace. */
interface Coming {
  client: Connection
  /** It is about to be recovered. */
  returning?: Returning
}

/** Whoever is about to be recovered, as a member of its session: the session's end is heard from here on. */
interface Returning {
  live: LiveSession
  place: Place
  parsed: Record<string, unknown>
}

/**
 * Connection state recovery on a namespace. By default socket.io runs no middleware for a socket that it recovers, and asks for nothing
 * but the ids that the client sends. Here it is recovered only if the handshake's cookie names the session that it had, and that session
 * is there; and it has its live session before any listener of 'connection' runs.
 */
export class Recovery {
  readonly #namespace: Namespace
  readonly #reception: Reception
  readonly #adapters = new Map<Adapter, Takeover<'restoreSession'>>()
  readonly #arrivals: Takeover<'_add'>
  readonly #coming = new AsyncLocalStorage<Coming>()
  /** Arrivals that are not dealt with yet. */
  #open = 0
  #standing = true

  constructor(namespace: Namespace, reception: Reception) {
    this.#namespace = namespace
    this.#reception = reception
    this.#arrivals = new Takeover(namespace)
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
    this.#arrivals.put('_add', (client: Connection, auth: Auth, ...rest: unknown[]) => {
      const arrive = (): unknown => add.call(this.#namespace, client, auth, ...rest)
      if (!this.#standing) return arrive()
      this.#ask(this.#namespace.adapter)
      // It is asked nothing otherwise.
      if (auth?.pid === undefined || auth.offset === undefined) return arrive()
      const by: Coming = { client }
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
    const takeover = new Takeover<'restoreSession'>(adapter)
    this.#adapters.set(adapter, takeover)
    takeover.put('restoreSession', (async (pid, offset) => {
      const restore = (): ReturnType<Restore> => restoreSession.call(adapter, pid, offset)
      return this.#standing ? this.#restore(this.#coming.getStore(), restore) : restore()
    }) as Restore)
  }

  /** @param by `undefined` for somebody who is not known here, and not recovered */
  async #restore(by: Coming | undefined, restore: () => ReturnType<Restore>): Promise<Awaited<ReturnType<Restore>>> {
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
  async #find(connection: Connection): Promise<Returning | undefined> {
    const { server } = this.#namespace
    const request = requestOf(connection, server.path())
    const jar: Jar = { headers: request.headers }
    const names = await parse(jar, this.#reception.parser, this.#reception.timeout)
    const parsed = Object.fromEntries(names.map((name) => [name, Reflect.get(jar, name)]))
    const arrival = { request, conn: connection.conn, engine: engineOf(connection, server as unknown as Server), jar }
    let returning: Returning | undefined
    const isSettled = await settle(this.#reception, arrival, ({ visited, session, open }) => {
      if (visited.named !== session.id) return
      const place = new Place(visited.request)
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

function resume(reception: Reception, socket: Socket, { live, place, parsed }: Returning): void {
  for (const [name, value] of Object.entries(parsed)) {
    Object.defineProperty(socket.handshake, name, { value, writable: true, configurable: true, enumerable: false })
  }
  const member = new SocketMember(reception, socket, place.request, live, HOLDS_NOTHING)
  live.join(member)
  reception.follow(member, Object.keys(parsed))
  const { end } = place
  // Its listeners of 'connection' come first: they are who hears of the end.
  if (end) process.nextTick(() => member.ended(end.reason, end.after))
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
class Place implements Member {
  readonly autoSave = false
  readonly hears = false
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

  ended(reason: EndReason, after: Promise<unknown> | undefined): void {
    this.end = { reason, after }
  }

  failed(): boolean {
    return false
  }
}
