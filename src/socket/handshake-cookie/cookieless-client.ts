import type { IncomingMessage } from 'node:http'
import type { RequestHandler } from 'express'
import type { Session, Store } from 'express-session'
import type { SessionReplica } from '../../session/replica.js'
import type { SessionManager } from '../../session/session-manager.js'
import { evictOldest, getOrInsert } from '../../util/bounded-map.js'
import type { CookieTarget } from '../incoming-handshake.js'
import { type LoadedRequest, loadSession } from '../run-session-middleware.js'
import { createSocketRequest } from '../socket-request.js'
import { partsOf, withSession } from './socket-cookie.js'

/** A session made for a client that has none which is there. */
export interface NewSession {
  readonly session: Session
  readonly store: Store
  /** express-session's line of the session's cookie; `undefined` where it sends none: the cookie is `secure`, and the connection is not. */
  readonly setCookie: string | undefined
  /** The session middleware stores new sessions to which nothing was written. */
  readonly storesNew: boolean
  /** The id of a session that is gone, where the client sent its genuine cookie. */
  readonly named: string | undefined
}

/** How many sessions of clients that have left are kept, although nothing was written to them. */
const KEPT = 1000
/**
 * How long the tabs of a browser whose session is gone may be apart, in ms: they come at once when a server is back. The first of them
 * gets a cookie, and the others come again with it.
 */
const TOGETHER = 3000

/** The first contacts of a store's clients. */
class FirstContacts {
  /** By the connection's first request. */
  readonly #contacts = new WeakMap<IncomingMessage, CookielessClient>()
  /** Nothing but this holds them when their clients have left, which come back with their cookies on the next page. */
  readonly #kept = new Set<SessionReplica>()
  /** When a session was last replaced by a new one, by its id. */
  readonly #replaced = new Map<string, number>()

  of(request: IncomingMessage): CookielessClient | undefined {
    return this.#contacts.get(request)
  }

  add(request: IncomingMessage, contact: CookielessClient): void {
    this.#contacts.set(request, contact)
    const { named } = contact
    if (named !== undefined) {
      this.#replaced.set(named, performance.now())
      evictOldest(this.#replaced, KEPT)
    }
    // The store has them by now, or nobody.
    for (const live of this.#kept) if (live.stored || live.ended) this.#kept.delete(live)
    this.#kept.add(contact.live)
    for (const oldest of this.#kept) {
      if (this.#kept.size <= KEPT) return
      this.#kept.delete(oldest)
    }
  }

  /** Is another client of that session, which is gone, on its way to a new one? */
  wasJustReplaced(sid: string): boolean {
    const at = this.#replaced.get(sid)
    return at !== undefined && performance.now() - at < TOGETHER
  }
}

const contacts = new WeakMap<SessionManager, FirstContacts>()

function contactsOf(hub: SessionManager): FirstContacts {
  return getOrInsert(contacts, hub, () => new FirstContacts())
}

export function firstContactOf(hub: SessionManager | undefined, request: IncomingMessage): CookielessClient | undefined {
  return hub && contacts.get(hub)?.of(request)
}

export function wasJustReplaced(hub: SessionManager, sid: string): boolean {
  return contactsOf(hub).wasJustReplaced(sid)
}

/** Makes the session live before its cookie leaves: an HTTP request with it may be faster than the first socket. */
export function registerNewSession(hub: SessionManager, request: IncomingMessage, introduction: NewSession): CookielessClient {
  const contact = new CookielessClient(hub, request, introduction)
  contactsOf(hub).add(request, contact)
  return contact
}

/**
 * A connection whose client is given its session's cookie with a response of the handshake's: all its sockets have that session, although
 * their handshake names none.
 */
export class CookielessClient {
  /** See {@link NewSession}. */
  readonly setCookie: string | undefined
  readonly named: string | undefined
  readonly live: SessionReplica
  /** The client has sent a request since then, without the cookie: it keeps none. */
  refused = false
  /** The cookie has left. */
  sent = false
  readonly #request: IncomingMessage
  readonly #session: Session
  readonly #store: Store

  constructor(hub: SessionManager, request: IncomingMessage, { session, store, setCookie, storesNew, named }: NewSession) {
    this.live = hub.openReplica(session, false, hub.clock.now())
    this.live.storedByRequests = storesNew
    this.#request = request
    this.#session = session
    this.#store = store
    this.setCookie = setCookie
    this.named = named
  }

  /** The same as `visit`, as if the client had sent its new cookie. `undefined` where that session has ended. */
  async visit(jar: CookieTarget, middleware: RequestHandler, timeout: number): Promise<LoadedRequest | undefined> {
    const { live, setCookie } = this
    if (live.ended) return undefined
    if (live.stored && setCookie !== undefined) {
      const found = await loadSession(withCookie(this.#request, setCookie), jar, middleware, timeout)
      return found.request.session?.id === live.sid ? found : undefined
    }
    const { request } = createSocketRequest(this.#request, jar)
    Object.assign(request, { session: this.#session, sessionID: live.sid, sessionStore: this.#store })
    return { request, named: undefined }
  }
}

/** The request as the client sends it next time. */
function withCookie(request: IncomingMessage, setCookie: string): IncomingMessage {
  const { name, value } = partsOf(setCookie)
  const headers = { ...request.headers, cookie: withSession(request.headers.cookie, name, value) }
  return Object.create(request, { headers: { value: headers } })
}
