import type { IncomingMessage } from 'node:http'
import type { Session } from 'express-session'
import type { Socket } from 'socket.io'
import { debug, warnOnce } from '../debug.js'
import { SharedSessionError } from '../errors.js'
import type { SessionReplica } from '../session/replica.js'
import type { SessionManager } from '../session/session-manager.js'
import type { Snapshot } from '../store/snapshot.js'
import { settleWithin } from '../util/timeout.js'
import { type HandshakeFacts, HOLDS_NOTHING, IN_OTHER_STORE, whyEmpty } from './explain.js'
import { firstContactOf } from './handshake-cookie/cookieless-client.js'
import { createSession, type SessionFactory } from './handshake-cookie/create-session.js'
import { takeHandshakeRead } from './handshake-cookie/handshake-reads.js'
import { type CookieTarget, type IncomingHandshake, incomingHandshake } from './incoming-handshake.js'
import { type MemberHost, SocketMember } from './member.js'
import { cookieSession } from './middleware-error.js'
import { originProblem } from './origin-check.js'
import { roomOf } from './room.js'
import { type LoadedRequest, loadSession, parseCookies } from './run-session-middleware.js'
import type { SocketRequest } from './socket-request.js'

/** How long a handshake waits for the response that brings its client another cookie, in ms. */
const ROTATION_WAIT = 5000
/** How often a handshake reads: again when the store is first seen, and when the session ends under it. */
const TRIES = 4

/** What a handshake needs of the `sharedsession()` call it comes to. */
export interface HandshakeContext extends MemberHost, SessionFactory {
  /** The hub of the store that the middleware showed; made when it is first seen. Throws `CLOSED`. */
  manager(store?: unknown): SessionManager | undefined
  /** The same, where it is known and the call is not closed. */
  readonly inUse: SessionManager | undefined
  memberOf(socket: object): unknown
  /** Settles when what was begun for a handshake before it was answered has ended. */
  greeted(request: IncomingMessage): Promise<unknown> | undefined
  /** Is it a socket cookie that names the session of this request? */
  hasSocketCookie(request: IncomingMessage): boolean
  /** Is another client of its browser on its way to a new session, so that it has to come again? */
  comesAgain(request: IncomingMessage): boolean
  /**
   * Follows a socket that has its session, until it is gone.
   * @param parsed the names of what the cookie parser put on its handshake
   */
  bindSocket(member: SocketMember, parsed: readonly string[]): void
}

/** The session that a handshake has come to, at a moment at which it has not ended. */
export interface ResolvedSession extends HandshakeFacts {
  session: Session
  /** The same live session for all sockets of the process. To be called in the same turn. */
  open(): SessionReplica
}

/**
 * Gives a socket its live session.
 * @returns `false` where the client has to come again, usually with a cookie that is on its way to it; rejects with what a
 * `connect_error` is to say
 */
export async function openSession(reception: HandshakeContext, socket: Socket): Promise<boolean> {
  const arrival = incomingHandshake(socket)
  const parsed = await parseCookies(arrival.jar, reception.parser, reception.timeout)
  let isForeign = false
  const isSettled = await resolveSession(reception, arrival, (found) => {
    // Another call on this store, which showed itself only now.
    if (reception.memberOf(socket)) return
    // It has the rooms and the data of a session that ended since it was recovered, or of one that nobody has asked for.
    isForeign = socket.recovered && !socket.rooms.has(roomOf(found.session.id))
    if (isForeign) return
    const { request } = found.visited
    if (found.inOtherStore) warnOnce('other store', IN_OTHER_STORE, 'SHAREDSESSION_OTHER_STORE')
    const live = found.open()
    const reason = live.document.isEmpty ? whyEmpty(found) : HOLDS_NOTHING
    const member = new SocketMember(reception, socket, request, live, reason)
    // Whose cookie has just left has nothing that is missing.
    if (member.empty && (!found.given || found.named !== undefined)) debug('an empty session: %s', reason)
    live.join(member)
    reception.bindSocket(member, parsed)
    if (reception.options.saveUninitialized) live.create()
  })
  return isSettled && !isForeign
}

/**
 * Finds the session that a client comes to.
 * @param enter is called with it, once. From what is said there to the end of the turn nothing is waited for: a session that ends
 * later ends what has been entered
 * @returns `false` where the client has to come again
 */
export async function resolveSession(
  reception: HandshakeContext,
  arrival: IncomingHandshake,
  enter: (found: ResolvedSession) => void,
): Promise<boolean> {
  const { options, timeout, middleware } = reception
  const { request, conn, jar } = arrival
  const refusal = await originProblem(request, arrival.engine, options.allowedOrigins, timeout)
  await reception.greeted(request)?.catch(() => undefined)
  if (reception.comesAgain(request)) return false
  let began: number | undefined
  for (let tries = 0; tries < TRIES; tries++) {
    const known = reception.manager()
    const contact = firstContactOf(known, request)
    const met = tries === 0 && !contact ? takeHandshakeRead(known, request) : undefined
    const moment = met?.moment ?? known?.clock.now() ?? 0
    const asOne = <T>(read: () => T): T => (known ? known.handshake(read) : read())
    const visited =
      (met && asIfVisited(await met.visited, jar)) ??
      (await asOne(() => contact?.visit(jar, middleware, timeout))) ??
      (await asOne(() => loadSession(request, jar, middleware, timeout)))
    const { named } = visited
    const { session, sessionStore } = visited.request
    if (!sessionStore || !session) throw notShown(reception, visited.request)
    if (named !== undefined && refusal) {
      warnOnce('ORIGIN_REFUSED', refusal.message)
      throw refusal
    }
    const given = contact?.setCookie !== undefined && named === undefined && session.id === contact.live.sid
    const withheld = named === undefined && !given && session.cookie.secure === true && (await isWithheld(reception, request))
    const hub = reception.manager(sessionStore) as SessionManager
    if (conn.readyState !== 'open') return false
    // The store was seen only now: what ended while it was read was not heard.
    if (!known) continue
    began ??= moment
    const claimed = named ?? contact?.named ?? contact?.live.sid
    const end = claimed === undefined ? undefined : hub.clock.tombstone(claimed)
    if (end?.rotation || (end?.reason === 'regenerated' && end.endedAt > began)) {
      await (end.rotation && settleWithin(end.rotation, ROTATION_WAIT))
      return false
    }
    if (hub.clock.endedSince(session.id, moment)) continue
    const found = (fresh?: Snapshot): ResolvedSession => ({
      visited,
      session,
      cookieName: reception.shown.cookieName,
      end,
      given,
      named: named ?? contact?.named,
      refused: given && contact.refused,
      withheld,
      storeInUse: hub.storeInUse,
      inOtherStore: claimed !== undefined && named !== session.id && hub.inOtherStore(claimed),
      open: () => {
        const live = hub.openReplica(session, named === session.id, moment, fresh)
        // Not by the cookie that a first contact will send; and a `genid` may give the id of a session that has ended once more.
        live.usedByRequest ||= named === session.id && contact?.live !== live && !end && !reception.hasSocketCookie(request)
        return live
      },
    })
    if (named !== session.id || hub.registry.get(named) || !hub.clock.committedSince(named, moment)) {
      enter(found())
      return true
    }
    // What was read is older than a commit that nobody live has heard of: once more, where no commit can come in between.
    let entered = false
    await hub.committer.inspect(named, (fresh) => {
      if (!fresh || hub.clock.endedSince(named, moment) || conn.readyState !== 'open') return
      enter(found(fresh))
      entered = true
    })
    if (entered) return true
  }
  return false
}

/** Does express-session keep a secure cookie back on this connection? Only it knows which proxies it believes. */
async function isWithheld(reception: HandshakeContext, request: IncomingMessage): Promise<boolean> {
  const { introduction } = await createSession(reception, request, undefined)
  return introduction !== undefined && introduction.setCookie === undefined
}

/** What was read before the handshake was answered, for the socket that comes by it. */
function asIfVisited(visited: LoadedRequest, { cookies, signedCookies, secret }: CookieTarget): LoadedRequest {
  Object.assign(visited.request, { cookies, signedCookies, ...(secret !== undefined && { secret }) })
  return visited
}

function notShown({ shown }: HandshakeContext, request: SocketRequest): SharedSessionError {
  // Wrapped, it shows itself only now.
  if ('sessionCookies' in request) return cookieSession()
  const path = new URL(String(request.url), 'http://localhost').pathname
  if (shown.cookiePath !== undefined && !path.startsWith(shown.cookiePath)) {
    return new SharedSessionError(
      'COOKIE_PATH',
      `The session cookie's path (${shown.cookiePath}) does not cover the socket's (${path}), so no session can reach it. Set cookie.path to '/' in the session options, or Socket.IO's path option below the cookie's.`,
    )
  }
  if (shown.store) {
    return new SharedSessionError(
      'STORE_FAILED',
      'The session store is disconnected, so there is no session. Try again when it is back.',
    )
  }
  return new SharedSessionError(
    'NO_STORE',
    "The session middleware showed no store: pass what express-session returned, or a middleware that calls it for every request; its cookie.path must cover the socket's path, and its store must be connected.",
  )
}
