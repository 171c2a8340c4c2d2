import type { IncomingMessage } from 'node:http'
import type { SessionReplica } from '../../session/replica.js'
import type { SessionManager } from '../../session/session-manager.js'
import { ROTATION_WAIT } from '../../session/store-calls.js'
import type { Moment, Tombstone } from '../../store/session-clock.js'
import type { Snapshot } from '../../store/snapshot.js'
import { settleWithin } from '../../util/promises.js'
import type { InstanceContext } from '../instance-context.js'
import type { HandshakePreparer } from './handshake-preparer.js'
import type { IncomingHandshake } from './incoming-handshake.js'
import type { LoadedSession } from './loaded-session.js'
import type { FirstContact } from './prepared-sessions.js'

/** What was read for a handshake. */
export interface HandshakeLoad {
  /** The manager when the read began; `undefined` if the store was not known yet. */
  readonly manager: SessionManager | undefined
  /** The client, if its session was created before the handshake was answered. */
  readonly client: FirstContact | undefined
  readonly loaded: LoadedSession
}

/** The session of a handshake, at a moment at which it has not ended: what the client's cookie names, and what has become of that. */
export class ResolvedSession {
  readonly loaded: LoadedSession
  /** Of the handshake's request. */
  readonly headers: IncomingMessage['headers']
  /** The session cookie's name, if the middleware showed it. */
  readonly cookieName: string | undefined
  /** The id in the session cookie that the client has sent, if the middleware accepted it. */
  readonly cookieSid: string | undefined
  /** The client is sent a handshake cookie with a response of its connection. */
  readonly cookieSent: boolean
  /** The client has sent a request since then, without that cookie. */
  readonly cookieRejected: boolean
  /** express-session sends no cookie on this connection, because the cookie is `secure`. */
  readonly cookieWithheld: boolean
  /** How the session that the cookie names ended, if that is known. */
  readonly tombstone: Tombstone | undefined
  /** HTTP requests have used this very store. */
  readonly storeInUse: boolean
  /** HTTP requests of this process keep this very session in another store. */
  readonly inOtherStore: boolean
  /** What the store holds instead of what was loaded, read while holding the session's lock. */
  current: Snapshot | undefined
  /** The ends of the sessions that the client's cookies name, and of which none was found. */
  readonly #ends: readonly Tombstone[]
  readonly #browser: HandshakePreparer['browser']
  readonly #manager: SessionManager
  readonly #request: IncomingMessage
  readonly #client: FirstContact | undefined

  constructor(
    { browser }: HandshakePreparer,
    { probed }: InstanceContext,
    manager: SessionManager,
    { request }: IncomingHandshake,
    { client, loaded }: HandshakeLoad,
    cookieWithheld: boolean,
  ) {
    const namedSid = loaded.cookieSid ?? client?.cookieSid ?? client?.replica.sid
    this.#browser = browser
    this.#manager = manager
    this.#request = request
    this.#client = client
    this.loaded = loaded
    this.headers = request.headers
    this.cookieName = probed.cookieName
    this.cookieSid = loaded.cookieSid ?? client?.cookieSid
    this.cookieSent = client?.cookieSent === true
    this.cookieRejected = this.cookieSent && client?.cookieRejected === true
    this.cookieWithheld = cookieWithheld
    this.tombstone = namedSid === undefined ? undefined : manager.clock.tombstone(namedSid)
    const others = loaded.cookieSid === loaded.sid ? [] : browser.claimedSids(request).map((sid) => manager.clock.tombstone(sid))
    this.#ends = [this.tombstone, ...others].filter((end) => end !== undefined)
    this.storeInUse = manager.requests.storeInUse
    this.inOtherStore = namedSid !== undefined && loaded.cookieSid !== loaded.sid && manager.otherStores.have(namedSid)
  }

  /**
   * Has one of the sessions that the client's cookies name ended since its handshake came? After a rotation the client has another cookie by
   * now, or gets it soon; otherwise the response to its next handshake brings one. The response to this handshake has left, and no cookie would
   * name a new session.
   */
  hasEndedSince(since: Moment): boolean {
    return this.#ends.some(({ rotation, knownMoment }) => rotation !== undefined || knownMoment > since)
  }

  /** Settles when the responses that bring the client its next cookie should have arrived. */
  async waitForCookies(): Promise<void> {
    await settleWithin(Promise.all(this.#ends.map(({ rotation }) => rotation)), ROTATION_WAIT)
  }

  /** Does a cookie of the client name this session, and is it in the store? */
  get isStoredForClient(): boolean {
    const { cookieSid, sid, stored } = this.loaded
    return cookieSid === sid && (stored || this.current !== undefined)
  }

  /** Opens the replica: the same one for all sockets of the process. Join it in the same tick. */
  open(): SessionReplica {
    const { loaded, current } = this
    const { handshakes } = this.#manager
    const replica = handshakes.open(current ? { ...loaded, snapshot: current, stored: true } : loaded, current !== undefined)
    // Not by a handshake cookie, nor by an id that a `genid` has taken again from a session that has ended.
    replica.namedByCookie ||=
      loaded.cookieSid === loaded.sid &&
      this.#client?.replica !== replica &&
      !this.tombstone &&
      !this.#browser.hasActiveHandshakeCookie(this.#request)
    return replica
  }
}
