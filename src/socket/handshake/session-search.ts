import type { IncomingMessage } from 'node:http'
import type { SessionManager } from '../../session/session-manager.js'
import type { MissingSession } from '../../store/session-reader.js'
import type { InstanceContext } from '../instance-context.js'
import type { BrowserCookies } from './browser-cookies.js'
import { findOrCreateSession } from './create-session.js'
import { activeCookies, claimedSid, type SentCookies } from './handshake-cookie.js'
import { existingSession, type LoadedSession, startRead } from './loaded-session.js'
import { type NewSession, type PreparedRead, preparedSessionsOf } from './prepared-sessions.js'

/** How often the session of a cookie is looked for: its first save may be on its way when its cookie is sent back. */
const READS = 2
/** The same where a handshake has set the cookie: another process may have to store the session first. */
const READS_OF_HANDSHAKE_COOKIE = 3
/** After so long, in ms, each of the other cookies is looked up once: the handshake is to be answered with its cookie. */
const SEARCH_TIME_MS = 400

interface SearchResult {
  /** The session that a cookie names. */
  existing?: LoadedSession
  /** How it was read, where the first socket can use that. */
  read?: PreparedRead | undefined
  /** The value of its cookie. */
  value?: string | undefined
  /** Where there is none: a new one, that of the first cookie. */
  created?: NewSession | undefined
}

/** Looks for the session that the cookies of a handshake name. */
export class SessionSearch {
  readonly #context: InstanceContext
  readonly #browser: BrowserCookies

  constructor(context: InstanceContext, browser: BrowserCookies) {
    this.#context = context
    this.#browser = browser
  }

  /**
   * Tries one cookie after the other. Rejects as the store and the session middleware do.
   * @param isAnswered the handshake was answered: each cookie is looked up once
   * @param missing a session that was just looked for, and is not there
   */
  async find(
    request: IncomingMessage,
    sent: SentCookies,
    isAnswered: boolean,
    missing: MissingSession | undefined,
  ): Promise<SearchResult> {
    const values = [sent.session, ...activeCookies(sent).map((cookie) => cookie.value)].filter((value) => value !== undefined)
    const began = performance.now()
    let created: NewSession | undefined
    for (const value of values.length > 0 ? new Set(values) : [undefined]) {
      const waits = !isAnswered && performance.now() - began < SEARCH_TIME_MS
      const result = await this.#findOrCreate(request, value, waits ? this.#readsOf(value, sent) : 1, missing)
      if (result.existing) return result
      created ??= result.created
    }
    return { created }
  }

  /** The first socket is refused with the cause. */
  readFailed(request: IncomingMessage, at: number, cause: unknown): never {
    const { manager } = this.#context
    if (manager) preparedSessionsOf(manager).setRead(request, { at, loaded: Promise.reject(cause) })
    throw cause
  }

  #readsOf(value: string | undefined, sent: SentCookies): number {
    const sid = value === undefined ? undefined : claimedSid(value)
    if (sent.handshake.some((cookie) => claimedSid(cookie.value) === sid)) {
      return this.#context.manager?.handshakes.unstored.canAsk ? READS_OF_HANDSHAKE_COOKIE : READS
    }
    // A handshake has found this session gone, and has set a cookie in place of this one.
    return value === sent.session && activeCookies(sent).length > 0 ? 1 : READS
  }

  /** @param known a session that was just looked for, and is missing */
  async #findOrCreate(
    request: IncomingMessage,
    value: string | undefined,
    reads: number,
    known: MissingSession | undefined,
  ): Promise<SearchResult> {
    for (let attempt = 1; ; attempt++) {
      const manager = this.#context.acquire()
      const at = performance.now()
      try {
        const pending = known && attempt === 1 ? undefined : startRead(this.#context, request, value)
        const found = await pending?.result
        const loaded = pending && found && existingSession(this.#context, pending.sid, found)
        if (loaded) return { existing: loaded, read: { at, loaded }, value }
        const missing = found ? found.missing : known
        const readStore = <T>(call: () => T): T =>
          manager ? manager.handshakes.interceptor.duringHandshake(call, missing) : call()
        const { existing, created: made, secret } = await findOrCreateSession(this.#context, request, value, readStore)
        this.#browser.secret ??= secret
        if (existing) return { existing, read: manager && { at, loaded: existing }, value }
        const created = made && { ...made, soughtMoment: found?.readMoment ?? made.soughtMoment }
        const sid = created?.cookieSid
        if (sid !== undefined) manager?.successors.applyReportedRotation(sid)
        if (!created || sid === undefined || attempt === reads || manager?.clock.tombstone(sid)) return { created }
        await (this.#context.acquire(created.store) as SessionManager).handshakes.unstored.wait(sid, created.soughtMoment)
      } catch (cause) {
        this.readFailed(request, at, cause)
      }
    }
  }
}
