import type { IncomingMessage, ServerResponse } from 'node:http'
import { debug, errorLabel } from '../../debug.js'
import type { SessionManager } from '../../session/session-manager.js'
import type { MissingSession } from '../../store/session-reader.js'
import { Attached } from '../../util/attached.js'
import type { InstanceContext } from '../instance-context.js'
import { BrowserCookies } from './browser-cookies.js'
import { ConnectionCookies } from './connection-cookies.js'
import { ConnectionRecord, type ConnectionRecords } from './connection-record.js'
import { sessionMadeBefore } from './create-session.js'
import { leaveOutEndedCookie } from './ended-cookie.js'
import {
  activeCookies,
  claimedSid,
  type HandshakeCookie,
  handshakeCookieLine,
  parseSetCookie,
  removalLine,
  type SentCookies,
  setCookieHeader,
  withSessionCookie,
} from './handshake-cookie.js'
import type { Engine } from './incoming-handshake.js'
import { existingSession, type LoadedSession, startRead } from './loaded-session.js'
import { originProblem } from './origin-check.js'
import { type FirstContact, type NewSession, type PreparedRead, preparedSessionsOf } from './prepared-sessions.js'
import { SessionSearch } from './session-search.js'

// This folder gives each handshake the one session of its browser, and a cookie for it. docs/cookies-and-handshakes.md says how users see it.
//
//   engine-hooks.ts        hooks into Engine.IO: before a handshake is answered, when a response is written, at each HTTP request
//   handshake-preparer.ts  before a handshake is answered: finds its session, or creates one with a handshake cookie
//   session-search.ts      looks for the sessions that the cookies of a handshake name
//   create-session.ts      runs the session middleware for that
//   prepared-sessions.ts   keeps the session until the first socket of the connection takes it (../handshake.ts)
//   connection-cookies.ts  closes a connection later, when its browser has another session
//   ended-cookie.ts        leaves the session cookie out of a response where its session has ended meanwhile
//   browser-cookies.ts     makes the cookies of a request name one session, and moves other sessions into that one
//   handshake-cookie.ts    reads and writes the handshake cookie
//
// The two cookies of a browser, for a session S, and for a session S that replaces a session D, which is gone:
//
//   session cookie    set by express-session    connect.sid=s%3AS.<signature>
//   handshake cookie  set with the response     connect.sid.socket.Ab3dE9xY=~s%3AS.<signature>
//                     to a handshake            connect.sid.socket.Ab3dE9xY=<digest of D>~s%3AS.<signature>
//
// The first form counts while the browser has no session cookie, the second one while it still sends the session cookie of D. The name ends
// with a digest of S: it never replaces a session cookie, nor the handshake cookie of another handshake that is answered at the same time.

const NO_LINES: readonly string[] = []

/** It does not refuse the handshake: the middleware of the namespace reports the cause. */
function notPrepared(cause: unknown): void {
  debug('a handshake is answered without its session: %s', errorLabel(cause))
}

/**
 * Which response can bring the client of a handshake a cookie. Where the handshake was answered before its server was registered, that is the
 * next one of a connection that polls, and none of another one.
 */
type CookieChance = 'thisResponse' | 'nextPoll' | 'none'

/** Prepares handshakes before they are answered: what their first sockets find, and the cookies of their responses. */
export class HandshakePreparer {
  readonly #context: InstanceContext
  readonly browser: BrowserCookies
  /** Is called with what happens to the connection later. */
  readonly connections: ConnectionCookies
  readonly #search: SessionSearch
  readonly #records: ConnectionRecords = new Attached()
  /** The first requests of connections whose handshakes were answered before their server was registered. */
  readonly #answered = new WeakSet<IncomingMessage>()

  constructor(context: InstanceContext) {
    this.#context = context
    this.browser = new BrowserCookies(context)
    this.#search = new SessionSearch(context, this.browser)
    this.connections = new ConnectionCookies(context, this.browser, this.#records)
  }

  addAnswered(request: IncomingMessage): void {
    this.#answered.add(request)
  }

  /**
   * Finds the session of a handshake, or creates one with a handshake cookie.
   * @param cookieChance which response can bring the client a cookie
   * @returns resolves when that is done, also with a failure; `undefined` where it is done already, or there is nothing to do
   */
  prepare(request: IncomingMessage, engine: Engine, cookieChance: CookieChance = 'thisResponse'): Promise<unknown> | undefined {
    if (this.#records.get(request)) return undefined
    const sent = this.browser.read(request)
    const value = this.browser.activeValue(request)
    if (cookieChance === 'none' && value === undefined) return undefined
    const record = new ConnectionRecord(value, this.#context.manager?.clock.now())
    this.#records.set(request, record)
    if (!this.#context.options.handshakeCookie && value === undefined) return undefined
    const preparing = this.#prepare(request, record, engine, sent, cookieChance).catch(notPrepared)
    // The session was read in this tick.
    if (record.isPrepared) return undefined
    record.preparing = preparing
    return preparing
  }

  /** What is known of the connection of a handshake. */
  recordOf(request: IncomingMessage): ConnectionRecord | undefined {
    return this.#records.get(request)
  }

  /** The `Set-Cookie` lines that the next response of a connection is to carry. */
  takeSetCookies(request: IncomingMessage): readonly string[] {
    const record = this.#records.get(request)
    const lines = record?.setCookies ?? NO_LINES
    if (record) {
      record.setCookies = undefined
      // No later response can set a cookie on a WebSocket.
      record.isTooLate ||= record.preparing !== undefined && request.headers.upgrade !== undefined
    }
    const { manager } = this.#context
    if (manager && lines.length > 0) preparedSessionsOf(manager).cookieSent(request)
    return lines
  }

  /** Any request that is not of an open connection. @param response `undefined` for an upgrade */
  onRequest(request: IncomingMessage, response: ServerResponse | undefined): void {
    this.browser.onRequest(request, response)
    if (response) leaveOutEndedCookie(this.#context, request, response)
  }

  async #prepare(
    request: IncomingMessage,
    record: ConnectionRecord,
    engine: Engine,
    sent: SentCookies,
    cookieChance: CookieChance,
  ): Promise<void> {
    try {
      const { options, timeout } = this.#context
      const manager = this.#context.acquire()
      // Another instance on this store has prepared it.
      const prepared = manager && preparedSessionsOf(manager)
      if (prepared?.has(request)) {
        const client = prepared.newClient(request)
        record.sid = prepared.readSid(request)
        return client && this.#follow(record, client, sent)
      }
      const ofEngine = sessionMadeBefore(this.#context, request)
      // One that the client's cookie names is looked up, as without that middleware: only then it counts as the session of the cookie.
      const made = ofEngine && !this.browser.claimedSids(request).includes(ofEngine.session.id) ? ofEngine : undefined
      // A page of another host must not replace a cookie that the browser did not send along, nor get a session with another cookie.
      if (made || cookieChance !== 'none') {
        const problem = originProblem(request, engine, options.allowedOrigins, timeout)
        if (problem && (await problem)) return
      }
      if (made) return this.#useNew(request, record, made, sent, [])
      // An HTTP response has just replaced its session, and the cookie is on its way.
      if (sent.session !== undefined && manager?.successors.isComing(claimedSid(sent.session))) {
        record.mustReconnect = true
        return
      }
      const at = performance.now()
      const pending = sent.handshake.length === 0 ? startRead(this.#context, request, sent.session) : undefined
      const reading = pending?.result
      const found =
        reading instanceof Promise ? await reading.catch((cause) => this.#search.readFailed(request, at, cause)) : reading
      const existing = pending && found && existingSession(this.#context, pending.sid, found)
      if (existing) return this.#useRead(request, record, existing, { at, loaded: existing }, sent.session)
      await this.#runMiddleware(request, record, sent, cookieChance, found?.missing)
    } finally {
      // The record stays as long as its connection, and the promise should not.
      record.isPrepared = true
      record.preparing = undefined
    }
  }

  /** Has the session middleware find or create the session. @param missing a session that was just looked for */
  async #runMiddleware(
    request: IncomingMessage,
    record: ConnectionRecord,
    sent: SentCookies,
    cookieChance: CookieChance,
    missing: MissingSession | undefined,
  ): Promise<void> {
    const { options, probed } = this.#context
    const { existing, read, value, created } = await this.#search.find(request, sent, cookieChance !== 'thisResponse', missing)
    if (existing) {
      if (probed.cookieName !== undefined && sent.handshake.length > 0) {
        setCookieHeader(request, withSessionCookie(request.headers.cookie, probed.cookieName, value))
      }
      return this.#useExisting(request, record, existing, read, value, sent)
    }
    const tombstone = created?.cookieSid === undefined ? undefined : this.#context.manager?.clock.tombstone(created.cookieSid)
    // The response that brings the client another cookie is on its way.
    if (!created || tombstone?.rotation || !options.handshakeCookie) return
    if (cookieChance === 'none' && created.cookieSid === undefined) return
    // The handshake's response is gone, and a WebSocket has no other.
    record.isTooLate ||= cookieChance === 'none' || this.#answered.has(request)
    const successors = this.#context.manager?.successors
    const dead = activeCookies(sent).filter(({ value }) => !successors?.isMoved(claimedSid(value)))
    this.#useNew(request, record, created, sent, dead)
  }

  async #useExisting(
    request: IncomingMessage,
    record: ConnectionRecord,
    existing: LoadedSession,
    read: PreparedRead | undefined,
    value: string | undefined,
    sent: SentCookies,
  ): Promise<void> {
    const others = sent.handshake.filter((cookie) => cookie.value !== value)
    const values = others.map((cookie) => cookie.value)
    const all = values.length > 0 ? await this.browser.moveSessions(request, values, existing.sid) : undefined
    const moved = others.filter((cookie) => all?.has(cookie.value))
    // What was read is older than the move.
    const current = moved.length > 0 ? undefined : read
    this.#useRead(request, record, existing, current, value)
    if (moved.length > 0) record.setCookies = await this.browser.removalLines(request, moved)
  }

  #useRead(
    request: IncomingMessage,
    record: ConnectionRecord,
    existing: LoadedSession,
    read: PreparedRead | undefined,
    value: string | undefined,
  ): void {
    const manager = this.#context.acquire(existing.sessionStore) as SessionManager
    record.value = value
    record.sid = existing.sid
    record.sendsCookies = true
    if (read) preparedSessionsOf(manager).setRead(request, read)
  }

  /** @param dead handshake cookies whose sessions are gone */
  #useNew(
    request: IncomingMessage,
    record: ConnectionRecord,
    created: NewSession,
    sent: SentCookies,
    dead: readonly HandshakeCookie[],
  ): void {
    const { session, store, setCookie, cookieSid } = created
    const sessions = preparedSessionsOf(this.#context.acquire(store) as SessionManager)
    // A client that has sent a cookie is a browser: the response to its next handshake can set one.
    const isTooLate = record.isTooLate && setCookie !== undefined
    if (cookieSid !== undefined && (sessions.wasJustReplaced(cookieSid) || (isTooLate && sessions.mayRepeat(cookieSid)))) {
      record.mustReconnect = true
      return
    }
    const client = sessions.addNewClient(request, created)
    this.#follow(record, client, sent)
    if (setCookie === undefined) return
    // A wrapped session middleware did not show it before.
    this.#context.probed.cookieName ??= parseSetCookie(setCookie).name
    const removals = dead.map((cookie) => removalLine(setCookie, cookie.name))
    record.setCookies = [handshakeCookieLine(setCookie, session.id, sent.session), ...removals]
  }

  /** The connection of a client that has a new session. */
  #follow(record: ConnectionRecord, { setCookie, replica }: FirstContact, { session: initial }: SentCookies): void {
    record.initial = initial
    record.value = setCookie === undefined ? initial : parseSetCookie(setCookie).value
    record.sid = replica.sid
    record.sendsCookies = initial !== undefined
  }
}
