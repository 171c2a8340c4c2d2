import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { warnOnce } from '../../debug.js'
import type { SessionManager } from '../../session/session-manager.js'
import { responseFinished, responseTo } from '../../store/in-flight-requests.js'
import { settleWithin } from '../../util/timeout.js'
import type { HandshakeContext } from '../handshake.js'
import type { Engine } from '../incoming-handshake.js'
import { originProblem } from '../origin-check.js'
import type { LoadedRequest } from '../run-session-middleware.js'
import type { SocketRequest } from '../socket-request.js'
import { BrowserCookies, setHeader } from './browser-cookies.js'
import { firstContactOf, type NewSession, registerNewSession, wasJustReplaced } from './cookieless-client.js'
import { createSession } from './create-session.js'
import type { HandshakeHook } from './engine-hooks.js'
import { type HandshakeRead, handshakeReadsOf, ignoreRejection } from './handshake-reads.js'
import {
  counting,
  idIn,
  partsOf,
  removalLine,
  type SentCookies,
  type SocketCookie,
  socketCookieLine,
  withSession,
} from './socket-cookie.js'

/** The first save of a session may still be on its way to the store when its cookie comes back, in ms. */
const SAVE_WAIT = 250
/** The longest time that a handshake is not answered for, in ms: a store that is slow does not keep connections from being made. */
const ANSWER_WAIT = 1000

/** The session that a connection has by its handshake. */
interface Known {
  /** The session cookie's value that counted last, or the one that the client was given. */
  value: string | undefined
  sid: string | undefined
  /** The one that its handshake came with. */
  readonly came: string | undefined
  /** Its client is seen to send cookies along with what is not a WebSocket: a page of another host may send them with that alone. */
  keeps: boolean
}

/**
 * Finds out which session a client's sockets have, before its handshake is answered, and gives it a socket cookie where it can name none
 * (`socket-cookie.ts`). Sees to it in all requests that the cookies which a browser has mean one session.
 */
export class HandshakeCookies implements HandshakeHook {
  readonly #reception: HandshakeContext
  readonly cookies: BrowserCookies
  /** By a connection's first request. */
  readonly #known = new WeakMap<IncomingMessage, Known>()
  readonly #lines = new WeakMap<IncomingMessage, string[]>()
  readonly #greeted = new WeakMap<IncomingMessage, Promise<unknown>>()
  readonly #again = new WeakSet<IncomingMessage>()
  /** Handshakes that were answered before their server was known. */
  readonly #early = new WeakSet<IncomingMessage>()
  readonly #waiting = new WeakSet<object>()

  constructor(reception: HandshakeContext) {
    this.#reception = reception
    this.cookies = new BrowserCookies(reception)
  }

  early(request: IncomingMessage): void {
    this.#early.add(request)
  }

  /** @param late its handshake was answered before its server was known; does it still poll? */
  greet(request: IncomingMessage, engine: Engine, late?: { polls: boolean }): Promise<unknown> | undefined {
    if (this.#known.has(request)) return undefined
    const sent = this.cookies.sentBy(request)
    const value = this.cookies.value(request)
    if (late?.polls === false && value === undefined) return undefined
    this.#known.set(request, { value, came: value, sid: undefined, keeps: value !== undefined })
    if (!this.#reception.options.handshakeCookie && sent.socket.length === 0) return undefined
    // The request stays as long as its connection.
    const greeted = this.#greet(request, engine, sent, late).finally(() => this.#greeted.delete(request))
    this.#greeted.set(request, greeted)
    return settleWithin(greeted, ANSWER_WAIT)
  }

  /** Settles when it is known which session a handshake comes to; `undefined` where nobody has asked. */
  greeted(request: IncomingMessage): Promise<unknown> | undefined {
    return this.#greeted.get(request)
  }

  /** Is it a socket cookie that counts? */
  hasSocketCookie(request: IncomingMessage): boolean {
    return counting(this.cookies.sentBy(request)).length > 0
  }

  setCookies(request: IncomingMessage): string[] {
    const lines = this.#lines.get(request) ?? []
    this.#lines.delete(request)
    const contact = lines.length > 0 ? firstContactOf(this.#hub, request) : undefined
    if (contact) contact.sent = true
    return lines
  }

  /** A connection has its first socket. */
  connected(conn: {
    request?: IncomingMessage | null
    close(): unknown
    once(event: 'close', listener: () => void): unknown
  }): void {
    const hub = this.#hub
    const contact = conn.request ? firstContactOf(hub, conn.request) : undefined
    if (!hub || !contact || this.#waiting.has(conn)) return
    this.#waiting.add(conn)
    const { named, live } = contact
    const close = (): void => void setImmediate(() => conn.close())
    // A node that does not know the new one, as it is not stored yet, gives the browser another one.
    conn.once('close', hub.successors.wait(live.sid, close, true))
    if (named !== undefined && named !== live.sid) conn.once('close', hub.successors.wait(named, close, false))
  }

  /** A request has stored a new session, and its response brings the cookie. */
  readonly newSession = (request: object, sid: string): void => {
    // A session may be made of something that is no request.
    if (!(request as Partial<IncomingMessage>).headers) return
    const sent = this.cookies.sentBy(request as IncomingMessage)
    const values = [sent.session, counting(sent)[0]?.value].filter((value) => value !== undefined)
    // An application may give ids of its own, and so one id twice.
    const ids = values.map(idIn).filter((id) => id !== sid)
    const response = responseTo(request)
    if (ids.length === 0 || !response) return
    responseFinished(response).then(() => {
      for (const id of ids) this.#hub?.successors.replaced(id)
    })
  }

  comesAgain(request: IncomingMessage): boolean {
    return this.#again.has(request)
  }

  request(request: IncomingMessage, response: ServerResponse | undefined): void {
    this.cookies.request(request, response)
  }

  polled(request: IncomingMessage, conn: { request: IncomingMessage; close(): unknown }): void {
    const known = this.#known.get(conn.request)
    if (!known || request === conn.request) return
    const sent = this.cookies.sentBy(request)
    const value = this.cookies.value(request)
    const contact = firstContactOf(this.#hub, conn.request)
    const values = [sent.session, ...sent.socket.map((cookie) => cookie.value)]
    const isUpgrade = request.headers.upgrade !== undefined
    known.keeps ||= isUpgrade ? values.some((each) => each === known.value && each !== undefined) : value !== undefined
    // It sends what it sent before, and not what it was given.
    const isOld = value === known.came
    if (contact?.sent && !isUpgrade) contact.refused = isOld
    if (value === undefined || isOld || value === known.value || !known.keeps) return
    const sid = this.cookies.idOf(request, value)
    known.value = value
    if (sid === undefined || sid === known.sid) return
    // It comes again with the cookies that its browser has by now.
    setImmediate(() => conn.close())
  }

  /** The store's hub, while it is in use. */
  get #hub(): SessionManager | undefined {
    return this.#reception.inUse
  }

  async #greet(request: IncomingMessage, engine: Engine, sent: SentCookies, late: { polls: boolean } | undefined): Promise<void> {
    const { options, timeout, shown } = this.#reception
    // Another call on this store was faster.
    const before = this.#reception.manager()
    if (before && (firstContactOf(before, request) || handshakeReadsOf(before).has(request))) return
    // A page of another host could otherwise put a cookie over the one that the browser did not send along.
    const isGiven = late?.polls !== false
    if (isGiven && (await originProblem(request, engine, options.allowedOrigins, timeout))) return
    const leftover = this.#leftover(request)
    if (leftover) return void this.#remember(request, leftover, sent, [])
    const candidates = counting(sent)
    if (sent.session !== undefined && before?.successors.isComing(idIn(sent.session))) return void this.#again.add(request)
    const values = [...new Set([sent.session, ...candidates.map(({ value }) => value)])].filter((value) => value !== undefined)
    let introduction: NewSession | undefined
    for (const value of values.length > 0 ? values : [undefined]) {
      const met = await this.#introduce(request, value, late === undefined)
      if (met.found) {
        if (shown.cookieName !== undefined && sent.socket.length > 0) {
          setHeader(request, withSession(request.headers.cookie, shown.cookieName, value))
        }
        return this.#found(request, met.found, met.meeting, value, sent)
      }
      introduction ??= met.introduction
    }
    const end = introduction?.named === undefined ? undefined : this.#hub?.clock.tombstone(introduction.named)
    // The response that brings it another cookie is on its way.
    if (!introduction || end?.rotation) return
    if (!options.handshakeCookie) return
    // Its handshake can give it no cookie any more, the next one can: whoever has a cookie is a browser, which comes again.
    if (this.#early.has(request) && introduction.named !== undefined) this.#again.add(request)
    else if (isGiven) this.#remember(request, introduction, sent, candidates)
  }

  async #introduce(
    request: IncomingMessage,
    value: string | undefined,
    waits: boolean,
  ): Promise<{
    found?: LoadedRequest
    introduction?: NewSession
    meeting?: HandshakeRead
  }> {
    for (let times = 1; ; times++) {
      const hub = this.#reception.manager()
      const began = { moment: hub?.clock.now() ?? 0, at: performance.now() }
      const introducing = createSession(this.#reception, request, value, (call) => (hub ? hub.handshake(call) : call()))
      const met = await introducing.catch((cause) => {
        // Its first socket is refused for it.
        if (hub) handshakeReadsOf(hub).set(request, { ...began, visited: ignoreRejection(Promise.reject(cause)) })
        throw cause
      })
      this.cookies.secret ??= met.secret
      if (met.found) return { ...met, ...(hub && { meeting: { ...began, visited: Promise.resolve(met.found) } }) }
      const named = met.introduction?.named
      if (named === undefined || !waits || times > 1 || hub?.clock.tombstone(named)) return met
      await pause(SAVE_WAIT, undefined, { ref: false })
    }
  }

  /** The client's session is there. */
  async #found(
    request: IncomingMessage,
    found: LoadedRequest,
    meeting: HandshakeRead | undefined,
    value: string | undefined,
    sent: SentCookies,
  ) {
    const sid = found.named as string
    const hub = this.#reception.manager(found.request.sessionStore) as SessionManager
    this.#known.set(request, { value, came: value, sid, keeps: true })
    const others = sent.socket.filter((each) => each.value !== value)
    const gone = await this.cookies.move(request, sid, others)
    if (gone.length > 0) this.#lines.set(request, await this.cookies.removals(request, gone))
    else if (meeting) handshakeReadsOf(hub).set(request, meeting)
  }

  #remember(request: IncomingMessage, introduction: NewSession, sent: SentCookies, dead: readonly SocketCookie[]): void {
    const { session, store, setCookie, named } = introduction
    const hub = this.#reception.manager(store) as SessionManager
    if (named !== undefined && sent.socket.length === 0 && wasJustReplaced(hub, named)) {
      this.#again.add(request)
      return
    }
    registerNewSession(hub, request, introduction)
    const known: Known = { value: sent.session, came: sent.session, sid: session.id, keeps: sent.session !== undefined }
    this.#known.set(request, known)
    if (setCookie === undefined) return
    const { name, value } = partsOf(setCookie)
    // A wrapped session middleware has not shown it before.
    this.#reception.shown.cookieName ??= name
    known.value = value
    const given = socketCookieLine(setCookie, session.id, sent.session)
    this.#lines.set(request, [given, ...dead.map((cookie) => removalLine(setCookie, cookie.name))])
  }

  /** The session that the same session middleware has made as one of Engine.IO's: its cookie is its own affair. */
  #leftover({ session, sessionStore: store }: SocketRequest): NewSession | undefined {
    if (!session || !store || store !== this.#reception.shown.store) return undefined
    warnOnce(
      'io.engine.use',
      'io.engine.use(session) makes the session middleware run for every poll, and decides about the cookie of clients that have none. sharedsession does not need it: take it out.',
    )
    return { session, store, setCookie: undefined, storesNew: false, named: undefined }
  }
}
