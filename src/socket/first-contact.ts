import { type IncomingMessage, ServerResponse } from 'node:http'
import type { RequestHandler } from 'express'
import type { Session, Store } from 'express-session'
import type { Hub } from '../session/hub.js'
import type { LiveSession } from '../session/live.js'
import { nameReader, type Shown } from '../store/probe.js'
import { upsert } from '../tracking/upsert.js'
import type { Jar } from './arrival.js'
import { cookieValue } from './cookie-header.js'
import { ownRequest } from './own-request.js'
import { parse, run, type Visit, visit } from './visit.js'

/** What makes sessions for clients that come without a cookie. */
export interface Introducer {
  readonly middleware: RequestHandler
  readonly parser: RequestHandler | undefined
  /** ms that the middlewares may take. */
  readonly timeout: number
  readonly shown: Shown
}

/** A session made for a client that has none, and the line that takes it its cookie. */
export interface Introduction {
  readonly session: Session
  readonly store: Store
  /** `undefined` where express-session sends none: the cookie is `secure`, and the connection is not. */
  readonly setCookie: string | undefined
}

/** How many sessions of clients that have left are kept, although nothing was written to them. */
const KEPT = 1000

/** The first contacts of a store's clients. */
class FirstContacts {
  /** By the connection's first request. */
  readonly #contacts = new WeakMap<IncomingMessage, FirstContact>()
  /** Nothing but this holds them when their clients have left, which come back with their cookies on the next page. */
  readonly #kept = new Set<LiveSession>()

  of(request: IncomingMessage): FirstContact | undefined {
    return this.#contacts.get(request)
  }

  add(request: IncomingMessage, contact: FirstContact): void {
    this.#contacts.set(request, contact)
    // The store has them by now, or nobody.
    for (const live of this.#kept) if (live.stored || live.ended) this.#kept.delete(live)
    this.#kept.add(contact.live)
    for (const oldest of this.#kept) {
      if (this.#kept.size <= KEPT) return
      this.#kept.delete(oldest)
    }
  }
}

const contacts = new WeakMap<Hub, FirstContacts>()

export function firstContactOf(hub: Hub | undefined, request: IncomingMessage): FirstContact | undefined {
  return hub && contacts.get(hub)?.of(request)
}

/** Makes the session live before its cookie leaves: an HTTP request with it may be faster than the first socket. */
export function remember(hub: Hub, request: IncomingMessage, introduction: Introduction): FirstContact {
  const contact = new FirstContact(hub, request, introduction)
  upsert(contacts, hub, () => new FirstContacts()).add(request, contact)
  return contact
}

/**
 * A connection whose client was given its session's cookie with the handshake's response: all its sockets have that session, although
 * their handshake names none.
 */
export class FirstContact {
  readonly setCookie: string | undefined
  readonly live: LiveSession
  readonly #request: IncomingMessage
  readonly #session: Session
  readonly #store: Store

  constructor(hub: Hub, request: IncomingMessage, { session, store, setCookie }: Introduction) {
    this.live = hub.open(session, false, hub.commitClock.now)
    this.#request = request
    this.#session = session
    this.#store = store
    this.setCookie = setCookie
  }

  /** The same as `visit`, as if the client had sent its new cookie. `undefined` where that session has ended. */
  async visit(jar: Jar, middleware: RequestHandler, timeout: number): Promise<Visit | undefined> {
    const { live, setCookie } = this
    if (live.ended) return undefined
    if (live.stored && setCookie !== undefined) {
      const found = await visit(withCookie(this.#request, setCookie), jar, middleware, timeout)
      return found.request.session?.id === live.sid ? found : undefined
    }
    const { request } = ownRequest(this.#request, jar)
    Object.assign(request, { session: this.#session, sessionID: live.sid, sessionStore: this.#store })
    return { request, named: undefined }
  }
}

/**
 * Has the session middleware make a session for a client that has none, and takes the cookie that it would send. Nothing is read or
 * stored. Rejects with what the middleware reports.
 * @returns `undefined` where the client has sent a session's cookie, genuine or not: it is never given another
 */
export async function introduce(
  { middleware, parser, timeout, shown }: Introducer,
  first: IncomingMessage,
): Promise<Introduction | undefined> {
  const { cookie, ...headers } = first.headers
  let isSent = false
  // Where the name is not known: it is looked for in the header, which has no cookie here, and then where cookie-parser leaves them.
  const names = nameReader((name) => {
    const isSessions = name === (shown.cookieName ?? name)
    isSent ||= isSessions && cookie !== undefined && cookieValue(cookie, name) !== undefined
  })
  const jar: Jar = { headers }
  if (parser) await parse(jar, parser, timeout)
  const { request } = ownRequest(first, { secret: jar.secret })
  const replaced = { headers, cookies: names, signedCookies: names }
  for (const [name, value] of Object.entries(replaced)) Object.defineProperty(request, name, { value })
  const response = new ServerResponse(request)
  await run(middleware, request, timeout, response)
  const { session, sessionStore: store } = request
  if (isSent || !session || !store) return undefined
  return { session, store, setCookie: cookieOf(session, response) }
}

/** The cookie that express-session sends for a session that was written to. */
function cookieOf(session: Session, response: ServerResponse): string | undefined {
  const before = new Set(linesOf(response))
  // Any difference will do; it is gone before anybody sees the session.
  const mark = 'sharedsession'
  Reflect.set(session, mark, true)
  try {
    response.writeHead(200)
  } finally {
    Reflect.deleteProperty(session, mark)
  }
  return linesOf(response).find((line) => !before.has(line) && line.includes(encodeURIComponent(session.id)))
}

function linesOf(response: ServerResponse): string[] {
  return [response.getHeader('set-cookie') ?? []].flat().map(String)
}

/** The request as the client sends it next time. */
function withCookie(request: IncomingMessage, setCookie: string): IncomingMessage {
  const { cookie, ...headers } = request.headers
  const pair = setCookie.split(';', 1)[0]
  const value = { ...headers, cookie: cookie === undefined ? pair : `${cookie}; ${pair}` }
  return Object.create(request, { headers: { value } })
}
