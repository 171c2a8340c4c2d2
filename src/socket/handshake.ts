import type { IncomingMessage } from 'node:http'
import type { Socket } from 'socket.io'
import { debug, warnOnce } from '../debug.js'
import { SharedSessionError } from '../errors.js'
import type { SessionManager } from '../session/session-manager.js'
import { HOLDS_NOTHING, IN_OTHER_STORE, whyEmpty } from './explain.js'
import { findOrCreateSession } from './handshake/create-session.js'
import type { HandshakePreparer } from './handshake/handshake-preparer.js'
import { type IncomingHandshake, readHandshake } from './handshake/incoming-handshake.js'
import { loadSession } from './handshake/loaded-session.js'
import { originProblem } from './handshake/origin-check.js'
import { isFresh, newClientOf, type PreparedRead, preparedSessionsOf } from './handshake/prepared-sessions.js'
import { type HandshakeLoad, ResolvedSession } from './handshake/resolved-session.js'
import { runCookieParser } from './handshake/run-session-middleware.js'
import { renewalNeeded, storeReported } from './handshake-errors.js'
import type { InstanceContext } from './instance-context.js'
import { canRenew } from './mirror/mirror-questions.js'
import { roomOf } from './room.js'
import type { SocketBindings } from './socket-binding.js'
import { SocketMember } from './socket-member.js'

// This folder gives sockets their sessions. A handshake goes through it from top to bottom:
//
//   servers.ts                 the Socket.IO servers of an instance, namespaces.ts: the middleware on each of their namespaces
//   instance-context.ts        options, middleware and manager that all handshakes of an instance share
//   handshake/                 before the handshake is answered: finds or creates the session, and sets a cookie for it
//   handshake.ts               the namespace's middleware: resolves the session of the socket
//     handshake/incoming-handshake.ts      the request and the engine of a handshake
//     handshake/origin-check.ts            refuses pages of other hosts
//     handshake/loaded-session.ts          looks the session up by its cookie (verified-cookies.ts), or has the session middleware load it
//     handshake/run-session-middleware.ts  runs express-session or the cookie parser on a request of the socket's own (socket-request.ts)
//     handshake/resolved-session.ts        what is known of a handshake: of the client's cookies, and of the sessions that they name
//     explain.ts                 why the session is empty, handshake-errors.ts: why there is none
//   recovery.ts                the same for sockets that Socket.IO recovers without running middlewares
//   socket-member.ts           the socket as a member of its session
//   socket-binding.ts          from the handshake until the socket is gone (pending-socket.ts: while it is connecting)
//     attach-session.ts          socket.handshake.session, by a prototype that all handshakes share (session-property.ts)
//     packet-hooks.ts            hooks into the events that arrive, by a prototype that all sockets share (socket-prototype.ts)
//     packet-events.ts           each event: touches the session, holds acks back until the save (ack-queue.ts, event-mark.ts)
//     room.ts                    the room of the session's sockets
//   mirror/                    what pages get: mirrors.ts is the main file, projection.ts, published-state.ts and state-delta.ts make the content
//   renewal.ts                 shared.renewal()
//   events.ts                  session:changed and the others, on the socket and on shared.events
//   close-connection.ts        closes a connection so that nothing stays behind
//   end-socket.ts              ends the socket when its session has ended, on this node or on another one

/** How often a handshake reads the session: again when the store was not known before, and when the session ends meanwhile. */
const ATTEMPTS = 4
const NOTHING_PARSED: readonly string[] = []

/** Resolves the sessions of handshakes, and binds sockets to them. */
export class Handshakes {
  readonly context: InstanceContext
  readonly bindings: SocketBindings
  readonly #preparer: HandshakePreparer

  constructor(context: InstanceContext, preparer: HandshakePreparer, bindings: SocketBindings) {
    this.context = context
    this.bindings = bindings
    this.#preparer = preparer
  }

  /**
   * Gives a socket its live session.
   * @returns `false` if the client has to reconnect, usually because another cookie is on its way to it; rejects with the reason for a
   * `connect_error`
   */
  openSession(socket: Socket): Promise<boolean> {
    const { parser, timeout } = this.context
    const handshake = readHandshake(socket)
    const resolve = (parsed: readonly string[]): Promise<boolean> =>
      this.resolveSession(handshake, (resolved) => this.#bind(socket, resolved, parsed))
    return parser ? runCookieParser(handshake.target, parser, timeout).then(resolve) : resolve(NOTHING_PARSED)
  }

  /** @returns `false` if the client has to reconnect */
  #bind(socket: Socket, resolved: ResolvedSession, parsed: readonly string[]): boolean {
    const { context, bindings } = this
    // By another instance, whose store turned out to be the same one.
    if (bindings.memberOf(socket)) return true
    const { loaded } = resolved
    if (!resolved.isStoredForClient && canRenew(socket.handshake.auth)) throw renewalNeeded()
    // A recovered socket has the rooms and the data of its old session: that one has ended, or is not the one that its cookie names.
    if (socket.recovered && !socket.rooms.has(roomOf(loaded.sid))) return false
    if (resolved.inOtherStore) warnOnce('other store', IN_OTHER_STORE, 'SHAREDSESSION_OTHER_STORE')
    const replica = resolved.open()
    const { isEmpty } = replica
    const explanation = isEmpty ? whyEmpty(resolved) : HOLDS_NOTHING
    const member = new SocketMember(context, socket, replica, explanation, loaded.request)
    // A first visit is expected to be empty.
    if (isEmpty && (!resolved.cookieSent || resolved.cookieSid !== undefined)) debug('an empty session: %s', explanation)
    replica.join(member)
    bindings.bind(member, parsed)
    if (context.options.saveUninitialized) replica.create()
    return true
  }

  /**
   * Finds the session that a handshake's cookie names, or creates one.
   * @param onResolved is called once. It opens the replica and joins it in the same tick, so that it is notified if the session ends later.
   * It returns whether the session is the client's
   * @returns `false` if the client has to reconnect
   */
  async resolveSession(handshake: IncomingHandshake, onResolved: OnResolved): Promise<boolean> {
    const { options, timeout } = this.context
    const { request, engine, conn } = handshake
    const problem = originProblem(request, engine, options.allowedOrigins, timeout)
    const refusal = problem && (await problem)
    const record = this.#preparer.recordOf(request)
    if (record?.preparing) await record.preparing
    if (record?.mustReconnect) return false
    const read = this.#takeRead(handshake)
    // Ends count from when the handshake came: a session that is gone since then was there. Where the response has brought a new cookie, they
    // count from now on.
    const isAnswered = newClientOf(this.context.manager, request)?.cookieSent === true
    const arrivedMoment = isAnswered ? undefined : record?.arrivedMoment
    let beganMoment = arrivedMoment ?? this.context.manager?.clock.now()
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const prepared = attempt === 1 && read && isFresh(read) ? this.#prepared(read) : undefined
      const load = prepared instanceof Promise ? await prepared : (prepared ?? (await this.#loadSession(handshake)))
      const { sid, cookieSid, readMoment, snapshot, sessionStore, stored } = load.loaded
      // A wrapped session middleware may show the session that it has found, and not the id in the cookie.
      if (refusal && (cookieSid !== undefined || stored)) {
        warnOnce('ORIGIN_REFUSED', refusal.message)
        throw refusal
      }
      const mayBeWithheld = !load.client?.cookieSent && cookieSid === undefined && snapshot.cookie.secure === true
      const cookieWithheld = mayBeWithheld && (await this.#isCookieWithheld(request))
      const manager = this.context.acquire(sessionStore) as SessionManager
      if (conn.readyState !== 'open') return false
      // The store was not known when the read began, so an end of the session meanwhile was not noted.
      if (!load.manager) continue
      if (beganMoment === undefined || readMoment < beganMoment) beganMoment = readMoment
      const resolved = new ResolvedSession(this.#preparer, this.context, manager, handshake, load, cookieWithheld)
      const { client } = load
      // The session was found late, when a response had given the browser another one.
      const isReplaced = client ? client.isReplaced : record && manager.successors.wasReplacedSince(sid, record.openedAt)
      if (client?.isLost || isReplaced || this.#lacksCookie(handshake, load) || resolved.hasEndedSince(beganMoment)) {
        await resolved.waitForCookies()
        return false
      }
      if (manager.clock.endedSince(sid, readMoment)) continue
      const isCurrent = cookieSid !== sid || !manager.handshakes.mustReadAgain(load.loaded)
      try {
        const isOwn = isCurrent ? onResolved(resolved) : await openCurrent(manager, handshake, resolved, onResolved)
        if (isOwn !== undefined) return isOwn
      } finally {
        manager.handshakes.release(load.loaded)
      }
    }
    return false
  }

  /** What was read before the handshake was answered. */
  #takeRead({ request }: IncomingHandshake): PreparedRead | undefined {
    const manager = this.context.acquire()
    return manager && !newClientOf(manager, request) ? preparedSessionsOf(manager).takeRead(request) : undefined
  }

  #prepared({ loaded }: PreparedRead): HandshakeLoad | Promise<never> {
    return loaded instanceof Promise ? loaded : { manager: this.context.manager, client: undefined, loaded }
  }

  /** Reads the session. */
  async #loadSession({ request, target }: IncomingHandshake): Promise<HandshakeLoad> {
    const { context } = this
    const manager = context.acquire()
    const client = newClientOf(manager, request)
    const loaded =
      (await client?.load(context, target)) ??
      (await loadSession(context, request, target, this.#preparer.browser.activeValue(request)))
    return { manager, client, loaded }
  }

  /** No session was found or made before the handshake was answered, as a read failed: the response to the next one can bring a cookie. */
  #lacksCookie({ request }: IncomingHandshake, { client, loaded: { cookieSid, sid } }: HandshakeLoad): boolean {
    if (client || cookieSid === undefined || cookieSid === sid) return false
    return this.context.options.handshakeCookie && this.#preparer.recordOf(request)?.arrivedMoment !== undefined
  }

  /** Does express-session send no cookie on this connection? Only it knows which proxies it trusts. */
  async #isCookieWithheld(request: IncomingMessage): Promise<boolean> {
    const { created } = await findOrCreateSession(this.context, request, undefined)
    return created !== undefined && created.setCookie === undefined
  }
}

type OnResolved = (resolved: ResolvedSession) => boolean

/**
 * Reads once more, with no commit under way: what was read may be older than a commit, or than the session's replica.
 * @returns what `onResolved` has returned; `undefined` if the session has ended meanwhile
 */
function openCurrent(
  manager: SessionManager,
  { conn }: IncomingHandshake,
  resolved: ResolvedSession,
  onResolved: OnResolved,
): Promise<boolean | undefined> {
  const { sid, readMoment } = resolved.loaded
  const isOwn = manager.committer.readExclusive(sid, (current) => {
    if (!current || manager.clock.endedSince(sid, readMoment) || conn.readyState !== 'open') return undefined
    resolved.current = current
    return onResolved(resolved)
  })
  return isOwn.catch((cause) => {
    throw cause instanceof SharedSessionError ? cause : storeReported(cause)
  })
}
