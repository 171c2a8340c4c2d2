import type { IncomingMessage } from 'node:http'
import type { Socket } from 'socket.io'
import { debug, warnOnce } from '../debug.js'
import type { SessionReplica } from '../session/replica.js'
import type { SessionManager } from '../session/session-manager.js'
import { ROTATION_WAIT } from '../session/store-handlers.js'
import type { Snapshot } from '../store/snapshot.js'
import { settleWithin } from '../util/timeout.js'
import type { HandshakeContext } from './context.js'
import { type HandshakeFacts, HOLDS_NOTHING, IN_OTHER_STORE, whyEmpty } from './explain.js'
import { findOrCreateSession } from './handshake-cookie/create-session.js'
import type { HandshakePreparer } from './handshake-cookie/handshake-preparer.js'
import { type CookielessClient, newClientOf, preparedSessionsOf } from './handshake-cookie/prepared-sessions.js'
import { type IncomingHandshake, readHandshake } from './incoming-handshake.js'
import { type LoadedSession, loadSession } from './loaded-session.js'
import { originProblem } from './origin-check.js'
import { roomOf } from './room.js'
import { runCookieParser } from './run-session-middleware.js'
import type { SocketBindings } from './socket-binding.js'
import { SocketMember } from './socket-member.js'

// This folder gives sockets their sessions. A handshake goes through it from top to bottom:
//
//   servers.ts                 the Socket.IO servers of an instance, namespaces.ts: the middleware on each of their namespaces
//   handshake-cookie/          before the handshake is answered: finds or creates the session, and sets a cookie for it
//   handshake.ts               the namespace's middleware: resolves the session of the socket
//     context.ts                 options, middleware and manager that all handshakes of an instance share
//     incoming-handshake.ts      the request and the engine of a handshake
//     origin-check.ts            refuses pages of other hosts
//     run-session-middleware.ts  runs express-session on a request of the socket's own (socket-request.ts)
//     explain.ts                 why the session is empty, handshake-errors.ts: why there is none
//   recovery.ts                the same for sockets that Socket.IO recovers without running middlewares
//   socket-member.ts           the socket as a member of its session
//   socket-binding.ts          from the handshake until the socket is gone (pending-socket.ts: while it is connecting)
//     attach-session.ts          socket.request.session and socket.handshake.session
//     packet-hooks.ts            each event that arrives: touches the session, holds acks back until the save (ack-queue.ts)
//     room.ts                    the room of the session's sockets
//   events.ts                  session:changed and the others, on the socket and on shared.events
//   end-socket.ts              ends the socket when its session has ended, on this node or on another one

/** How often a handshake reads the session: again when the store was not known before, and when the session ends meanwhile. */
const ATTEMPTS = 4
const NOTHING_PARSED: readonly string[] = []

/** The session of a handshake, at a moment at which it has not ended. */
export interface ResolvedSession extends HandshakeFacts {
  /** Opens the replica: the same one for all sockets of the process. Call it in the same turn. */
  open(): SessionReplica
}

/** What was read for a handshake. */
interface HandshakeLoad {
  /** The manager when the read began; `undefined` if the store was not known yet. */
  readonly manager: SessionManager | undefined
  /** The client, if its session was created before the handshake was answered. */
  readonly client: CookielessClient | undefined
  readonly loaded: LoadedSession
}

/** Resolves the sessions of handshakes, and binds sockets to them. */
export class Handshakes {
  readonly context: HandshakeContext
  readonly bindings: SocketBindings
  readonly #preparer: HandshakePreparer

  constructor(context: HandshakeContext, preparer: HandshakePreparer, bindings: SocketBindings) {
    this.context = context
    this.bindings = bindings
    this.#preparer = preparer
  }

  /**
   * Gives a socket its live session.
   * @returns `false` if the client has to reconnect, usually because another cookie is on its way to it; rejects with the reason for a
   * `connect_error`
   */
  async openSession(socket: Socket): Promise<boolean> {
    const { context, bindings } = this
    const handshake = readHandshake(socket)
    const { parser } = context
    const parsed = parser ? await runCookieParser(handshake.target, parser, context.timeout) : NOTHING_PARSED
    let isForeign = false
    const isResolved = await this.resolveSession(handshake, (resolved) => {
      // By another instance, whose store turned out to be the same one.
      if (bindings.memberOf(socket)) return
      // A recovered socket has the rooms and the data of its old session: that one has ended, or is not the one that its cookie names.
      isForeign = socket.recovered && !socket.rooms.has(roomOf(resolved.loaded.sid))
      if (isForeign) return
      if (resolved.inOtherStore) warnOnce('other store', IN_OTHER_STORE, 'SHAREDSESSION_OTHER_STORE')
      const replica = resolved.open()
      const { isEmpty } = replica
      const explanation = isEmpty ? whyEmpty(resolved) : HOLDS_NOTHING
      const member = new SocketMember(context, socket, replica, explanation, resolved.loaded.request)
      // A first visit is expected to be empty.
      if (isEmpty && (!resolved.cookieSent || resolved.cookieSid !== undefined)) debug('an empty session: %s', explanation)
      replica.join(member)
      bindings.bind(member, parsed)
      if (context.options.saveUninitialized) replica.create()
    })
    return isResolved && !isForeign
  }

  /**
   * Finds the session that a handshake's cookie names, or creates one.
   * @param onResolved is called once. It opens the replica and joins it in the same turn, so that it is notified if the session ends later
   * @returns `false` if the client has to reconnect
   */
  async resolveSession(handshake: IncomingHandshake, onResolved: (resolved: ResolvedSession) => void): Promise<boolean> {
    const { options, timeout } = this.context
    const { request, engine, conn } = handshake
    const problem = originProblem(request, engine, options.allowedOrigins, timeout)
    const refusal = problem && (await problem)
    const preparing = this.#preparer.preparing(request)
    if (preparing) await preparing.catch(() => undefined)
    if (this.#preparer.mustReconnect(request)) return false
    let beganAt: number | undefined
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const load = await this.#loadSession(handshake, attempt === 1)
      const { sid, cookieSid, moment, snapshot, sessionStore } = load.loaded
      if (refusal && cookieSid !== undefined) {
        warnOnce('ORIGIN_REFUSED', refusal.message)
        throw refusal
      }
      const cookieSent = isCookieSent(load)
      const mayBeWithheld = !cookieSent && cookieSid === undefined && snapshot.cookie.secure === true
      const cookieWithheld = mayBeWithheld && (await this.#isCookieWithheld(request))
      const manager = this.context.acquire(sessionStore) as SessionManager
      if (conn.readyState !== 'open') return false
      // The store was not known when the read began, so an end of the session meanwhile was not noted.
      if (!load.manager) continue
      beganAt ??= moment
      const facts = this.#classifyCookie(handshake, load, manager, cookieSent, cookieWithheld)
      if (isRotated(facts, beganAt)) {
        await waitForRotation(facts)
        return false
      }
      if (manager.clock.endedSince(sid, moment)) continue
      if (await this.#openCurrent(handshake, load, manager, facts, onResolved)) return true
    }
    return false
  }

  /** Reads the session, unless that was done before the handshake was answered. */
  async #loadSession({ request, target }: IncomingHandshake, isFirst: boolean): Promise<HandshakeLoad> {
    const { context } = this
    const manager = context.acquire()
    const client = newClientOf(manager, request)
    const prepared = isFirst && manager && !client ? preparedSessionsOf(manager).takeRead(request) : undefined
    const loaded =
      (prepared && (await prepared.loaded)) ??
      (await client?.load(context, target)) ??
      (await loadSession(context, request, target, this.#preparer.cookieOf(request)))
    return { manager, client, loaded }
  }

  /** Does express-session send no cookie on this connection? Only it knows which proxies it trusts. */
  async #isCookieWithheld(request: IncomingMessage): Promise<boolean> {
    const { created } = await findOrCreateSession(this.context, request, undefined)
    return created !== undefined && created.setCookie === undefined
  }

  /** What the client's cookie names, and what has become of that session. */
  #classifyCookie(
    { request }: IncomingHandshake,
    { client, loaded }: HandshakeLoad,
    manager: SessionManager,
    cookieSent: boolean,
    cookieWithheld: boolean,
  ): HandshakeFacts {
    const namedSid = loaded.cookieSid ?? client?.cookieSid ?? client?.replica.sid
    return {
      loaded,
      headers: request.headers,
      cookieName: this.context.probed.cookieName,
      cookieSid: loaded.cookieSid ?? client?.cookieSid,
      cookieSent,
      cookieRejected: cookieSent && client?.cookieRejected === true,
      cookieWithheld,
      tombstone: namedSid === undefined ? undefined : manager.clock.tombstone(namedSid),
      storeInUse: manager.storeInUse,
      inOtherStore: namedSid !== undefined && loaded.cookieSid !== loaded.sid && manager.handshakes.inOtherStore(namedSid),
    }
  }

  /**
   * Calls `onResolved`, after another read if the session was committed since the first one.
   * @returns `false` if the session has ended meanwhile
   */
  async #openCurrent(
    { request, conn }: IncomingHandshake,
    { client, loaded }: HandshakeLoad,
    manager: SessionManager,
    facts: HandshakeFacts,
    onResolved: (resolved: ResolvedSession) => void,
  ): Promise<boolean> {
    const { sid, cookieSid, moment } = loaded
    const resolve = (current?: Snapshot): void => {
      const open = (): SessionReplica => {
        const replica = manager.handshakes.open(current ? { ...loaded, snapshot: current } : loaded, current !== undefined)
        // Not by a handshake cookie, nor by an id that a `genid` has taken again from a session that has ended.
        replica.namedByCookie ||=
          cookieSid === sid &&
          client?.replica !== replica &&
          !facts.tombstone &&
          !this.#preparer.hasActiveHandshakeCookie(request)
        return replica
      }
      onResolved({ ...facts, open })
      manager.handshakes.release(loaded)
    }
    if (cookieSid !== sid || manager.registry.get(cookieSid) || !manager.clock.committedSince(cookieSid, moment)) {
      resolve()
      return true
    }
    // The commit was not applied to what was read, because the session had no replica. `inspect` reads with no commit under way.
    let isOpen = false
    await manager.committer.inspect(cookieSid, (current) => {
      if (!current || manager.clock.endedSince(cookieSid, moment) || conn.readyState !== 'open') return
      resolve(current)
      isOpen = true
    })
    return isOpen
  }
}

/** Was the client sent a cookie for this session with the handshake's response? */
function isCookieSent({ client, loaded }: HandshakeLoad): boolean {
  return client?.setCookie !== undefined && loaded.cookieSid === undefined && loaded.sid === client.replica.sid
}

/** Was the session that the cookie names regenerated, so that the client has another cookie by now, or gets it soon? */
function isRotated({ tombstone }: HandshakeFacts, beganAt: number): boolean {
  if (tombstone?.rotation) return true
  return tombstone?.reason === 'regenerated' && tombstone.endedAt > beganAt
}

async function waitForRotation({ tombstone }: HandshakeFacts): Promise<void> {
  if (tombstone?.rotation) await settleWithin(tombstone.rotation, ROTATION_WAIT)
}
