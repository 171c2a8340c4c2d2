import type { RequestHandler } from 'express'
import type { Socket } from 'socket.io'
import { debug, warnOnce } from '../debug.js'
import { SharedSessionError } from '../errors.js'
import type { Hub } from '../session/hub.js'
import type { Document } from '../store/document.js'
import { settledWithin } from '../store/operation.js'
import type { Shown } from '../store/probe.js'
import { whyEmpty } from './explain.js'
import { type MemberHost, SocketMember } from './member.js'
import { originProblem } from './origin.js'
import { parse, visit } from './visit.js'

/** How long a handshake waits for the response that brings its client another cookie, in ms. */
const ROTATION_WAIT = 5000
/** How often a handshake reads: again when the store is first seen, and when the session ends under it. */
const TRIES = 4

/** What a handshake needs of the `sharedsession()` call it comes to. */
export interface Reception extends MemberHost {
  readonly middleware: RequestHandler
  readonly parser: RequestHandler | undefined
  readonly shown: Shown
  /** ms that the middlewares may take. */
  readonly timeout: number
  /** The hub of the store that the middleware showed; made when it is first seen. Throws `CLOSED`. */
  hub(store?: unknown): Hub | undefined
  memberOf(socket: object): unknown
  /**
   * Follows a socket that has its session, until it is gone.
   * @param parsed the names of what the cookie parser put on its handshake
   */
  follow(member: SocketMember, parsed: string[]): void
}

/**
 * Gives a socket its live session.
 * @returns `false` where the client has to come again, usually with a cookie that is on its way to it; rejects with what a
 * `connect_error` is to say
 */
export async function receive(reception: Reception, socket: Socket): Promise<boolean> {
  const { options, timeout } = reception
  const refusal = await originProblem(socket, options.allowedOrigins, timeout)
  const parsed = await parse(socket, reception.parser, timeout)
  let began: number | undefined
  for (let tries = 0; tries < TRIES; tries++) {
    const known = reception.hub()
    const moment = known?.ends.now() ?? 0
    const since = known?.commitClock.now ?? 0
    const visited = await visit(socket, reception.middleware, timeout)
    const { request, named } = visited
    const { session } = request
    if (!request.sessionStore || !session) throw notShown(reception, socket)
    if (named !== undefined && refusal) {
      warnOnce('ORIGIN_REFUSED', refusal.message)
      throw refusal
    }
    // From here to the end nothing is waited for: a session that ends now ends this socket too.
    const hub = reception.hub(request.sessionStore) as Hub
    // Another call on this store, which showed itself only now.
    if (reception.memberOf(socket)) return true
    if (socket.conn.readyState !== 'open') return false
    // The store was seen only now: what ended while it was read was not heard.
    if (!known) continue
    began ??= moment
    const end = named === undefined ? undefined : hub.ends.get(named)
    if (end?.rotation || (end?.reason === 'regenerated' && end.order > began)) {
      await (end.rotation && settledWithin(end.rotation, ROTATION_WAIT))
      return false
    }
    if (hub.ends.since(session.id, moment)) continue
    const enter = (fresh?: Document): void => {
      const live = hub.open(session, session.id, named === session.id, since, fresh)
      const reason = whyEmpty(visited, reception.shown, end)
      const member = new SocketMember(reception, socket, request, live, reason)
      if (member.empty && request.headers.cookie !== undefined) debug('an empty session: %s', reason)
      live.join(member)
      reception.follow(member, parsed)
      if (options.saveUninitialized) live.create()
    }
    if (named !== session.id || hub.registry.get(named) || !hub.commitClock.since(named, since)) {
      enter()
      return true
    }
    // What was read is older than a commit that nobody live has heard of: once more, where no commit can come in between.
    let entered = false
    await hub.inspect(named, (found) => {
      if (!found || hub.ends.since(named, moment) || socket.conn.readyState !== 'open') return
      enter(found)
      entered = true
    })
    if (!entered) continue
    return true
  }
  return false
}

function notShown({ shown }: Reception, socket: Socket): SharedSessionError {
  const path = new URL(String(socket.client.request.url), 'http://localhost').pathname
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
