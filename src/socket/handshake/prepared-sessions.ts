import type { IncomingMessage } from 'node:http'
import type { Session, Store } from 'express-session'
import { debug, errorLabel } from '../../debug.js'
import type { HandshakeSession } from '../../session/handshake-sessions.js'
import { cookieArrival } from '../../session/local-sessions.js'
import type { SessionReplica } from '../../session/replica.js'
import type { SessionManager } from '../../session/session-manager.js'
import type { Moment } from '../../store/session-clock.js'
import { Attached } from '../../util/attached.js'
import { evictOldest, getOrInsert } from '../../util/maps.js'
import type { InstanceContext } from '../instance-context.js'
import { parseSetCookie, withSessionCookie } from './handshake-cookie.js'
import type { CookieTarget } from './incoming-handshake.js'
import { type LoadedSession, loadSession } from './loaded-session.js'

/** How long a session that was read for a handshake may be used without another read, in ms. */
const FRESH = 1000
/** How many sessions of clients that have left are kept although they are not stored. */
const MOST_KEPT = 1000
/**
 * How long after each other the tabs of a browser whose session is gone may connect, in ms: all do when a server is back. The first tab
 * gets a cookie, and the others reconnect with it.
 */
const TABS_WINDOW = 3000
/** For how long a client reconnects whose handshakes are answered before its session is made, in ms. */
const MOST_REPEATED = 10_000
/** After that, one that has come to another process meanwhile begins anew, in ms. A client that is still repeating comes earlier. */
const REPETITION_FORGOTTEN = 3 * MOST_REPEATED

/** An existing session that was read for a handshake before it was answered. */
export interface PreparedRead {
  /** Or a rejection with what the store or the session middleware reported. */
  readonly loaded: LoadedSession | Promise<never>
  /** When the read began, by `performance.now()`. */
  readonly at: number
}

/** May it be used without another read? */
export function isFresh({ at }: PreparedRead): boolean {
  return performance.now() - at < FRESH
}

/** A session that express-session made for a handshake, because the client's cookie names none that exists. */
export interface NewSession {
  readonly session: Session
  readonly store: Store
  /** express-session's `Set-Cookie` line. `undefined` where it sends none: the cookie is `secure`, and the connection is not. */
  readonly setCookie: string | undefined
  /** Does the session middleware store new sessions to which nothing was written? */
  readonly storesNew: boolean
  /** The id in the client's genuine session cookie, whose session is gone. */
  readonly cookieSid: string | undefined
  /** When that session was last looked for. */
  readonly soughtMoment: Moment
}

/** The sessions that were read or made for handshakes before their first socket, of one store. */
export class PreparedSessions {
  readonly #manager: SessionManager
  // Both by the first request of the connection.
  readonly #reads = new Attached<PreparedRead>()
  readonly #newClients = new Attached<FirstContact>()
  /** Nothing else holds these sessions when their clients have left, which return with their cookies on the next page. */
  readonly #kept = new Set<SessionReplica>()
  /** Sessions that are gone, of whose replacement the other processes were told. Once: clients that keep no cookies would come back for ever. */
  readonly #told = new Map<string, true>()
  /** When a session that is gone was last replaced by a new one, by the id of the session that is gone. */
  readonly #replacedAt = new Map<string, number>()
  /** Since when handshakes have been answered before this session was found to be gone. */
  readonly #lateSince = new Map<string, number>()

  constructor(manager: SessionManager) {
    this.#manager = manager
  }

  has(request: IncomingMessage): boolean {
    return this.#newClients.get(request) !== undefined || this.#reads.get(request) !== undefined
  }

  setRead(request: IncomingMessage, read: PreparedRead): void {
    // A failed read is reported to the first socket; it is not an unhandled rejection if there is none.
    if (read.loaded instanceof Promise) read.loaded.catch(() => undefined)
    this.#reads.set(request, read)
  }

  /** The id of the session that was read for a handshake. */
  readSid(request: IncomingMessage): string | undefined {
    const loaded = this.#reads.get(request)?.loaded
    return loaded instanceof Promise ? undefined : loaded?.sid
  }

  /** What was read for a handshake, once. */
  takeRead(request: IncomingMessage): PreparedRead | undefined {
    const read = this.#reads.get(request)
    this.#reads.delete(request)
    return read
  }

  newClient(request: IncomingMessage): FirstContact | undefined {
    return this.#newClients.get(request)
  }

  /** Opens the replica of a new session. An HTTP request with its cookie may be faster than the first socket. */
  addNewClient(request: IncomingMessage, created: NewSession): FirstContact {
    const client = new FirstContact(this.#manager, request, created)
    this.#newClients.set(request, client)
    const { cookieSid } = client
    // Its client may come to another process, or get another session there, before its first socket is here.
    this.#manager.successors.prepare(client.replica.sid)
    if (cookieSid !== undefined) {
      if (cookieSid !== client.replica.sid) this.#joinIfStored(cookieSid, client, created.soughtMoment)
      this.#lateSince.delete(cookieSid)
      this.#replacedAt.set(cookieSid, performance.now())
      evictOldest(this.#replacedAt, MOST_KEPT)
    }
    for (const replica of this.#kept) if (replica.stored || replica.ended) this.#kept.delete(replica)
    this.#kept.add(client.replica)
    evictOldest(this.#kept, MOST_KEPT)
    return client
  }

  /** The response with a new session's cookie leaves. Tabs of the browser on other nodes come for it, where they were given another one. */
  cookieSent(request: IncomingMessage): void {
    const client = this.#newClients.get(request)
    if (!client) return
    client.cookieSent = true
    const { cookieSid, replica } = client
    if (cookieSid === undefined || cookieSid === replica.sid || this.#told.has(cookieSid)) return
    this.#told.set(cookieSid, true)
    evictOldest(this.#told, MOST_KEPT)
    this.#manager.successors.replacedByHandshake(cookieSid)
  }

  /** The session of the client's cookie may be stored by another process yet: the two become one then, as both are of one browser. */
  #joinIfStored(cookieSid: string, client: FirstContact, soughtMoment: Moment): void {
    const manager = this.#manager
    manager.successors.prepare(cookieSid)
    const joined = manager.handshakes.unstored.isStoredLate(cookieSid, soughtMoment).then(async (isStored) => {
      if (!isStored) return
      // The sockets of the moved session come back at once. The browser is to have the new cookie by then.
      await cookieArrival()
      if (client.cookieSent) await manager.moveUnnamed(cookieSid, client.replica.sid)
      // The handshake was answered without the new cookie: the client reconnects with the one that it has.
      else manager.successors.wakeWaiting(cookieSid)
    })
    joined.catch((cause) => debug('a session that was stored late could not be moved: %s', errorLabel(cause)))
  }

  /** Has another tab of the browser just been given a new session, because this one is gone? */
  wasJustReplaced(sid: string): boolean {
    const at = this.#replacedAt.get(sid)
    return at !== undefined && performance.now() - at < TABS_WINDOW
  }

  /** May a handshake be repeated that was answered before this session was found to be gone? Not for ever: the store may stay slow. */
  mayRepeat(sid: string): boolean {
    const now = performance.now()
    const elapsed = now - (this.#lateSince.get(sid) ?? Number.NEGATIVE_INFINITY)
    if (elapsed < REPETITION_FORGOTTEN) return elapsed < MOST_REPEATED
    this.#lateSince.set(sid, now)
    evictOldest(this.#lateSince, MOST_KEPT)
    return true
  }
}

const prepared = new WeakMap<SessionManager, PreparedSessions>()

export function preparedSessionsOf(manager: SessionManager): PreparedSessions {
  return getOrInsert(prepared, manager, () => new PreparedSessions(manager))
}

export function newClientOf(manager: SessionManager | undefined, request: IncomingMessage): FirstContact | undefined {
  return manager && preparedSessionsOf(manager).newClient(request)
}

/** A client that came without a cookie of an existing session: it has a new session from its handshake on, and the cookie is on its way. */
export class FirstContact {
  /** See {@link NewSession}. */
  readonly setCookie: string | undefined
  readonly cookieSid: string | undefined
  /** When the session was made, by `performance.now()`. */
  readonly madeAt = performance.now()
  readonly replica: SessionReplica
  /** The first one of the connection. */
  readonly request: IncomingMessage
  /** The cookie has been sent. */
  cookieSent = false
  /** The client has sent a request since then, without the cookie: it keeps no cookies. */
  cookieRejected = false
  /** The session ended before a socket had it: no cookie of the client would name another one. */
  isLost = false
  #isUsed = false
  readonly #manager: SessionManager
  readonly #made: HandshakeSession
  readonly #store: Store

  constructor(
    manager: SessionManager,
    request: IncomingMessage,
    { session, store, setCookie, storesNew, cookieSid }: NewSession,
  ) {
    this.#manager = manager
    this.#made = manager.handshakes.fromMiddleware(session, false, manager.clock.now())
    this.replica = manager.handshakes.open(this.#made)
    manager.handshakes.keep(this.replica)
    this.replica.storedByRequests = storesNew
    this.request = request
    this.#store = store
    this.setCookie = setCookie
    this.cookieSid = cookieSid
  }

  /** Has the browser been given another session since its handshake? */
  get isReplaced(): boolean {
    const { replica } = this
    return replica.ended !== undefined && this.#manager.clock.tombstone(replica.sid)?.reason === 'regenerated'
  }

  /** As {@link loadSession}, as if the client had sent its new cookie. Resolves to `undefined` if the session has ended. */
  async load(context: InstanceContext, target: CookieTarget): Promise<LoadedSession | undefined> {
    const loaded = await this.#find(context, target)
    if (loaded) this.#isUsed = true
    this.isLost = !this.#isUsed
    return loaded
  }

  async #find(context: InstanceContext, target: CookieTarget): Promise<LoadedSession | undefined> {
    const { replica, setCookie } = this
    if (replica.ended) return undefined
    if (replica.stored && setCookie !== undefined) {
      const loaded = await loadSession(context, withCookie(this.request, setCookie), target, parseSetCookie(setCookie).value)
      return loaded.sid === replica.sid ? loaded : undefined
    }
    return { ...this.#made, sessionStore: this.#store, cookieSid: undefined }
  }
}

/** The request as the client sends it next time. */
function withCookie(request: IncomingMessage, setCookie: string): IncomingMessage {
  const { name, value } = parseSetCookie(setCookie)
  const headers = { ...request.headers, cookie: withSessionCookie(request.headers.cookie, name, value) }
  return Object.create(request, { headers: { value: headers } })
}
