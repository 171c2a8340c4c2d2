import type { IncomingMessage, ServerResponse } from 'node:http'
import { debug } from '../../debug.js'
import { getOrInsert } from '../../util/bounded-map.js'
import type { HandshakeContext } from '../handshake.js'
import { createSession, genuineId } from './create-session.js'
import {
  counting,
  hasSocketCookie,
  readCookies,
  removalLine,
  type SentCookies,
  type SocketCookie,
  withSession,
} from './socket-cookie.js'

/** Sees to it that the cookies which a browser sends mean one session: in each request, before anybody else sees it. */
export class BrowserCookies {
  readonly #reception: HandshakeContext
  /** By request: what it had sent before its header was changed. */
  readonly #sent = new WeakMap<IncomingMessage, SentCookies>()
  /** That only the cookie parser knows. */
  secret: unknown

  constructor(reception: HandshakeContext) {
    this.#reception = reception
  }

  /** What a request says, before its header is changed: then the session cookie in it is the one that counts. */
  sentBy(request: IncomingMessage): SentCookies {
    return getOrInsert(this.#sent, request, () => {
      const { cookieName: name } = this.#reception.shown
      const { cookie } = request.headers
      if (name === undefined) return { session: undefined, socket: [] }
      const sent = readCookies(cookie, name)
      if (hasSocketCookie(cookie, name)) setHeader(request, withSession(cookie, name, counting(sent)[0]?.value ?? sent.session))
      return sent
    })
  }

  /** The value of the session cookie that counts in a request. */
  value(request: IncomingMessage): string | undefined {
    const sent = this.sentBy(request)
    return counting(sent)[0]?.value ?? sent.session
  }

  /** The id in a session cookie's value, if its signature is genuine. */
  idOf(request: IncomingMessage, value: string): string | undefined {
    return genuineId(this.#reception, request, value, this.secret)
  }

  /** A request that is none of Engine.IO's. @param response `undefined` for an upgrade */
  request(request: IncomingMessage, response: ServerResponse | undefined): void {
    const { cookieName: name } = this.#reception.shown
    if (name === undefined || !hasSocketCookie(request.headers.cookie, name)) return
    const sent = this.sentBy(request)
    const [first, ...others] = counting(sent)
    const value = first?.value ?? sent.session
    if (value === undefined || !response) return
    const rest = first ? others : sent.socket
    if (rest.length > 0) this.#join(request, response, value, rest)
  }

  /** A request has shown that these sessions are its browser's: they become one before the request reads it. */
  #join(request: IncomingMessage, response: ServerResponse, value: string, others: readonly SocketCookie[]): void {
    const sid = this.idOf(request, value)
    if (sid === undefined) return
    const joined = this.move(request, sid, others).then(async (gone) => {
      if (gone.length === 0 || response.headersSent) return
      const lines = await this.removals(request, gone)
      if (!response.headersSent) for (const line of lines) response.appendHeader('Set-Cookie', line)
    })
    joined.catch((cause) => debug('sessions of one browser are not one yet: %s', cause?.message))
  }

  /**
   * Moves what the sessions of these cookies hold to another one.
   * @returns the cookies of those that are not there any more
   */
  async move(request: IncomingMessage, to: string, others: readonly SocketCookie[]): Promise<SocketCookie[]> {
    const hub = this.#reception.inUse
    if (!hub || others.length === 0) return []
    const moving = others.map(async (cookie) => {
      const sid = this.idOf(request, cookie.value)
      if (sid === to) return cookie
      return sid !== undefined && (await hub.move(sid, to)) ? cookie : undefined
    })
    const ended = await Promise.all(
      moving.map((each) => each.catch((cause) => void debug('a session could not be moved: %s', cause?.message))),
    )
    return ended.filter((cookie) => cookie !== undefined)
  }

  /** The lines that take cookies away. */
  async removals(request: IncomingMessage, cookies: readonly SocketCookie[]): Promise<string[]> {
    if (!this.#reception.options.handshakeCookie) return []
    const { introduction } = await createSession(this.#reception, request, undefined)
    const line = introduction?.setCookie
    return line === undefined ? [] : cookies.map(({ name }) => removalLine(line, name))
  }
}

export function setHeader({ headers }: IncomingMessage, cookie: string | undefined): void {
  if (cookie === undefined) delete headers.cookie
  else headers.cookie = cookie
}
