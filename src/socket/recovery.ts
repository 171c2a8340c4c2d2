import { AsyncLocalStorage } from 'node:async_hooks'
import type { Namespace, Server, ServerOptions, Socket } from 'socket.io'
import { debug, errorLabel } from '../debug.js'
import { Member } from '../session/member.js'
import type { SessionReplica } from '../session/replica.js'
import type { EndReason } from '../types.js'
import { MethodPatch } from '../util/method-patch.js'
import { closeConnection } from './close-connection.js'
import { HOLDS_NOTHING } from './explain.js'
import { type Connection, type CookieTarget, engineOf, requestOf } from './handshake/incoming-handshake.js'
import { runCookieParser } from './handshake/run-session-middleware.js'
import type { SocketRequest } from './handshake/socket-request.js'
import type { Handshakes } from './handshake.js'
import { roomOf } from './room.js'
import { SocketMember } from './socket-member.js'

type Adapter = Namespace['adapter']
type Restore = Adapter['restoreSession']
type Auth = { pid?: unknown; offset?: unknown }
type Add = (client: Connection, auth: Auth, ...rest: unknown[]) => unknown

/** `Namespace._add` runs for this client. */
interface PendingConnect {
  client: Connection
  /** `undefined` unless the adapter has restored its state. */
  candidate?: RecoveryCandidate
}

/** A client that may be recovered. The placeholder is a member of its session, and is notified if the session ends meanwhile. */
interface RecoveryCandidate {
  replica: SessionReplica
  placeholder: PlaceholderMember
  /** What the cookie parser has put on the handshake. */
  parsed: Record<string, unknown>
}

/** The result of `restoreSession()` that says that there is nothing to restore. */
const NOT_RECOVERED = null as never

/**
 * Connection state recovery on a namespace. By default socket.io runs no middleware for a socket that it recovers, and checks nothing but
 * the ids that the client sends. Here a socket is recovered only if the cookie of its handshake names the session that it had, and that
 * session exists. It has its session before a listener of 'connection' runs.
 */
export class Recovery {
  readonly #namespace: Namespace
  readonly #handshakes: Handshakes
  readonly #adapters = new Map<Adapter, MethodPatch<'restoreSession'>>()
  readonly #add: MethodPatch<'_add'>
  /** Says in `restoreSession()` for which client it is called. */
  readonly #pending = new AsyncLocalStorage<PendingConnect>()
  #pendingCount = 0
  #active = true

  constructor(namespace: Namespace, handshakes: Handshakes) {
    this.#namespace = namespace
    this.#handshakes = handshakes
    this.#add = new MethodPatch(namespace)
    const { connectionStateRecovery } = (namespace.server as unknown as { opts: Partial<ServerOptions> }).opts
    if (connectionStateRecovery) this.#patchNamespace()
  }

  /** Leaves the namespace as it was. */
  close(): void {
    this.#active = false
    this.#add.restore()
    for (const patch of this.#adapters.values()) patch.restore()
    this.#namespace.off('connect', this.#onConnect)
  }

  #patchNamespace(): void {
    // Socket.IO calls the adapter's restoreSession() within this method, and does not say for which client.
    const { _add: add } = this.#namespace as unknown as { _add: Add }
    this.#add.replace('_add', (client: Connection, auth: Auth, ...rest: unknown[]) => {
      const callAdd = (): unknown => add.call(this.#namespace, client, auth, ...rest)
      if (!this.#active) return callAdd()
      this.#patchAdapter(this.#namespace.adapter)
      // Without these Socket.IO recovers nothing.
      if (auth?.pid === undefined || auth.offset === undefined) return callAdd()
      const pending: PendingConnect = { client }
      this.#pendingCount++
      const added = Promise.resolve(this.#pending.run(pending, callAdd))
      // The socket has connected by then, or is not recovered. What a listener of 'connection' throws stays a rejection.
      return added.finally(() => {
        pending.candidate?.replica.leave(pending.candidate.placeholder)
        // Before Node 24 a storage in use makes every promise and every tick of the process slower.
        if (--this.#pendingCount === 0) this.#pending.disable()
      })
    })
    this.#namespace.prependListener('connect', this.#onConnect)
  }

  /** A server may be given another adapter at any time. */
  #patchAdapter(adapter: Adapter): void {
    if (this.#adapters.has(adapter) || typeof adapter.restoreSession !== 'function') return
    const { restoreSession } = adapter
    const patch = new MethodPatch<'restoreSession'>(adapter)
    this.#adapters.set(adapter, patch)
    patch.replace('restoreSession', (async (pid, offset) => {
      const restore = (): ReturnType<Restore> => restoreSession.call(adapter, pid, offset)
      return this.#active ? this.#restore(this.#pending.getStore(), restore) : restore()
    }) as Restore)
  }

  /** @param pending `undefined` if the method is called for a client that is not known: it is not recovered */
  async #restore(pending: PendingConnect | undefined, restore: () => ReturnType<Restore>): Promise<Awaited<ReturnType<Restore>>> {
    const candidate = pending && (await this.#findCandidate(pending.client).catch(notRecovered))
    if (!pending || !candidate) return NOT_RECOVERED
    const { replica, placeholder } = candidate
    // An adapter may throw synchronously.
    const restored = await (async () => restore())().catch(notRecovered)
    if (!restored || placeholder.end || ![...restored.rooms].includes(roomOf(replica.sid))) {
      replica.leave(placeholder)
      if (restored) debug('a socket is not recovered: its handshake names another session than it had, or that one has ended')
      return NOT_RECOVERED
    }
    pending.candidate = candidate
    return restored
  }

  /** Resolves the session that the client's cookie names, and joins it. */
  async #findCandidate(connection: Connection): Promise<RecoveryCandidate | undefined> {
    const { parser, timeout } = this.#handshakes.context
    const { server } = this.#namespace
    const request = requestOf(connection, server.path())
    const target: CookieTarget = { headers: request.headers }
    const names = parser ? await runCookieParser(target, parser, timeout) : []
    const parsed = Object.fromEntries(names.map((name) => [name, Reflect.get(target, name)]))
    const engine = engineOf(connection, server as unknown as Server)
    let candidate: RecoveryCandidate | undefined
    const handshake = { request, conn: connection.conn, engine, target }
    const isResolved = await this.#handshakes.resolveSession(handshake, (resolved) => {
      const { loaded } = resolved
      if (loaded.cookieSid !== loaded.sid) return true
      const placeholder = new PlaceholderMember(loaded.request)
      const replica = resolved.open()
      replica.join(placeholder)
      candidate = { replica, placeholder, parsed }
      return true
    })
    // The client's new cookie has been sent. The middleware would find its old one, and create a session.
    if (!isResolved) closeConnection(connection.conn)
    return candidate
  }

  /** Runs within `_add`, before the application's listeners of 'connection'. */
  readonly #onConnect = (socket: Socket): void => {
    const candidate = this.#pending.getStore()?.candidate
    if (!socket.recovered || !candidate || this.#handshakes.bindings.memberOf(socket)) return
    const { replica, placeholder, parsed } = candidate
    for (const [name, value] of Object.entries(parsed)) {
      Object.defineProperty(socket.handshake, name, { value, writable: true, configurable: true, enumerable: false })
    }
    const member = new SocketMember(this.#handshakes.context, socket, replica, HOLDS_NOTHING, placeholder.given)
    replica.join(member)
    this.#handshakes.bindings.bind(member, Object.keys(parsed))
    const { end } = placeholder
    // The application adds its listeners of the end in its listeners of 'connection', which run first.
    if (end) process.nextTick(() => member.onSessionEnd(end.reason, end.after))
  }
}

function notRecovered(cause: unknown): undefined {
  debug('a socket is not recovered: %s', errorLabel(cause))
  return undefined
}

/** A member of the session in place of a socket that does not exist yet. */
class PlaceholderMember extends Member {
  readonly autoSave = false
  readonly perSocket = undefined
  readonly hasChangeListeners = false
  /** Nobody has the session of a socket that does not exist. */
  readonly request = {}
  /** The session has ended. */
  end: { reason: EndReason; after: Promise<unknown> | undefined } | undefined

  /** @param given the request on which the session middleware was run, if it was */
  constructor(readonly given: SocketRequest | undefined) {
    super()
  }

  emitChange(): void {}

  onSessionEnd(reason: EndReason, after: Promise<unknown> | undefined): void {
    this.end = { reason, after }
  }

  emitError(): boolean {
    return false
  }
}
