import type { IncomingMessage, ServerResponse } from 'node:http'
import { debug, errorLabel } from '../../debug.js'
import { Attached } from '../../util/attached.js'
import type { InstanceContext } from '../instance-context.js'
import { findOrCreateSession } from './create-session.js'
import {
  activeCookies,
  claimedSid,
  type HandshakeCookie,
  mayHaveHandshakeCookie,
  readCookies,
  removalLine,
  type SentCookies,
  setCookieHeader,
  withSessionCookie,
} from './handshake-cookie.js'

/**
 * Makes the cookies that a browser sends name one session, in each request, before anything else reads them. An active handshake cookie
 * becomes the session cookie in the request's `Cookie` header; sessions of other handshake cookies are moved into that session.
 */
export class BrowserCookies {
  readonly #context: InstanceContext
  /** What a request has sent, before its header was changed. */
  readonly #sent = new Attached<SentCookies>()
  /** The secret that only the cookie parser has. */
  secret: unknown

  constructor(context: InstanceContext) {
    this.#context = context
  }

  /** What a request has sent. The first call changes its `Cookie` header: the active cookie is the session cookie from then on. */
  read(request: IncomingMessage): SentCookies {
    const known = this.#sent.get(request)
    if (known) return known
    const sent = this.#readHeader(request)
    this.#sent.set(request, sent)
    return sent
  }

  #readHeader(request: IncomingMessage): SentCookies {
    const { cookieName: name } = this.#context.probed
    const { cookie } = request.headers
    if (name === undefined) return { session: undefined, handshake: [] }
    const sent = readCookies(cookie, name)
    if (mayHaveHandshakeCookie(cookie, name)) {
      setCookieHeader(request, withSessionCookie(cookie, name, this.#activeIn(sent)?.value ?? sent.session))
    }
    return sent
  }

  /** The value of the cookie that names the session of a request. */
  activeValue(request: IncomingMessage): string | undefined {
    const sent = this.read(request)
    return this.#activeIn(sent)?.value ?? sent.session
  }

  /** The sessions that the cookies of a request name, without a look at their signatures. */
  claimedSids(request: IncomingMessage): string[] {
    const sent = this.read(request)
    return [sent.session, ...activeCookies(sent).map(({ value }) => value)].filter((value) => value !== undefined).map(claimedSid)
  }

  /** Is it a handshake cookie that names the session of this request? */
  hasActiveHandshakeCookie(request: IncomingMessage): boolean {
    return activeCookies(this.read(request)).length > 0
  }

  /** The first one whose session is not known to be gone: without that each request would get a new session. */
  #activeIn(sent: SentCookies): HandshakeCookie | undefined {
    const active = activeCookies(sent)
    const { manager } = this.#context
    if (!manager || active.length < 2) return active[0]
    return active.find(({ value }) => !manager.successors.isGone(claimedSid(value))) ?? active[0]
  }

  /** The id in a session cookie's value, if its signature is genuine. */
  verifiedSid(request: IncomingMessage, value: string): string | undefined {
    const { verified, probed } = this.#context
    return probed.cookieName === undefined ? undefined : verified.sidIn(request, probed.cookieName, value, this.secret)
  }

  /** A request that is not one of Engine.IO's. @param response `undefined` for an upgrade */
  onRequest(request: IncomingMessage, response: ServerResponse | undefined): void {
    const { cookieName: name } = this.#context.probed
    if (name === undefined || !mayHaveHandshakeCookie(request.headers.cookie, name)) return
    const sent = this.read(request)
    const active = this.#activeIn(sent)
    const value = active?.value ?? sent.session
    if (value === undefined || !response) return
    const others = sent.handshake.filter((cookie) => cookie !== active).map((cookie) => cookie.value)
    // It was stored after a handshake had looked for it, and another tab has found it.
    if (active && sent.session !== undefined && this.isLive(sent.session)) others.push(sent.session)
    if (others.length > 0) this.#moveIntoSessionOf(request, response, value, others)
  }

  /** Has the session of a session cookie sockets here? The signature is not verified. */
  isLive(value: string): boolean {
    const replica = this.#context.manager?.registry.get(claimedSid(value))
    return replica !== undefined && replica.ended === undefined
  }

  /** The request shows that these sessions are of one browser. Its own read of the session waits for the moves. */
  #moveIntoSessionOf(request: IncomingMessage, response: ServerResponse, value: string, others: readonly string[]): void {
    const sid = this.verifiedSid(request, value)
    if (sid === undefined) return
    const moved = this.moveSessions(request, others, sid).then(async (all) => {
      const unused = this.read(request).handshake.filter((cookie) => all.has(cookie.value))
      if (unused.length === 0 || response.headersSent) return
      const lines = await this.removalLines(request, unused)
      if (!response.headersSent) for (const line of lines) response.appendHeader('Set-Cookie', line)
    })
    moved.catch((cause) => debug('the sessions of a browser could not be joined: %s', errorLabel(cause)))
  }

  /**
   * Moves what the sessions of these cookies hold to another session.
   * @param values of session cookies and handshake cookies
   * @returns those whose sessions were moved: their cookies can be removed
   */
  async moveSessions(request: IncomingMessage, values: readonly string[], to: string): Promise<Set<string>> {
    const manager = this.#context.manager
    const moved = new Set<string>()
    if (!manager) return moved
    const move = async (value: string): Promise<void> => {
      const sid = this.verifiedSid(request, value)
      if (sid === to || (sid !== undefined && (await manager.move(sid, to)))) moved.add(value)
    }
    await Promise.all(
      values.map((value) => move(value).catch((cause) => debug('a session could not be moved: %s', errorLabel(cause)))),
    )
    return moved
  }

  /** The `Set-Cookie` lines that remove cookies. */
  async removalLines(request: IncomingMessage, cookies: readonly HandshakeCookie[]): Promise<string[]> {
    if (!this.#context.options.handshakeCookie) return []
    const { created } = await findOrCreateSession(this.#context, request, undefined)
    const line = created?.setCookie
    return line === undefined ? [] : cookies.map(({ name }) => removalLine(line, name))
  }
}
