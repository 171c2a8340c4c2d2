import type { IncomingMessage } from 'node:http'
import { debug, errorLabel } from '../../debug.js'
import { cookieArrival } from '../../session/local-sessions.js'
import { responseFinished, responseTo, setsCookieOf } from '../../store/in-flight-requests.js'
import { type ClosableConnection, closeConnection } from '../close-connection.js'
import type { InstanceContext } from '../instance-context.js'
import type { BrowserCookies } from './browser-cookies.js'
import type { ConnectionRecords } from './connection-record.js'
import { activeCookies, claimedSid } from './handshake-cookie.js'
import { type FirstContact, newClientOf } from './prepared-sessions.js'

/** Follows the session cookie of each connection, and closes the connection when its browser has another session. */
export class ConnectionCookies {
  readonly #context: InstanceContext
  readonly #browser: BrowserCookies
  readonly #records: ConnectionRecords
  /** Open connections whose first socket has its session, with what stops following them. */
  readonly #followed = new Map<object, () => void>()

  constructor(context: InstanceContext, browser: BrowserCookies, records: ConnectionRecords) {
    this.#context = context
    this.#browser = browser
    this.#records = records
  }

  /** A connection has its first socket. It is closed when its browser is given another session. */
  onSocketConnected(
    conn: ClosableConnection & {
      request?: IncomingMessage | null
      on(event: 'close', listener: () => void): unknown
      off(event: 'close', listener: () => void): unknown
    },
  ): void {
    const { manager } = this.#context
    const { request } = conn
    if (!manager || !request || this.#followed.has(conn)) return
    const client = newClientOf(manager, request)
    const record = this.#records.get(request)
    const sid = client?.replica.sid ?? record?.sid
    const isUnstored = (): boolean => sid !== undefined && manager.registry.get(sid)?.stored === false
    if (sid === undefined || !(client || isUnstored())) return
    const { successors } = manager
    const close = (): void => void setImmediate(() => closeConnection(conn))
    const gone = client ? [...this.#verifiedSids(request, client)] : []
    // A node that does not know the session, because it is not stored yet, gives the browser another one.
    const replaced = client ? close : () => void (isUnstored() && close())
    const stops = [successors.wait(sid, replaced, true), ...gone.map((each) => successors.wait(each, close, false))]
    // Between the handshake and this socket.
    const openedAt = record?.openedAt ?? client?.madeAt ?? Number.POSITIVE_INFINITY
    if ((client ? gone : [sid]).some((each) => successors.wasReplacedSince(each, openedAt))) close()
    const stop = (): void => {
      conn.off('close', stop)
      this.#followed.delete(conn)
      for (const stopWaiting of stops) stopWaiting()
    }
    this.#followed.set(conn, stop)
    conn.on('close', stop)
  }

  /** Follows no connection any more. */
  close(): void {
    for (const stop of this.#followed.values()) stop()
  }

  /** The sessions that the cookies of a handshake name, and that were not found. */
  #verifiedSids(request: IncomingMessage, { cookieSid, replica }: FirstContact): Set<string> {
    const values = activeCookies(this.#browser.read(request)).map(({ value }) => this.#browser.verifiedSid(request, value))
    return new Set([cookieSid, ...values].filter((sid) => sid !== undefined).filter((sid) => sid !== replica.sid))
  }

  /**
   * An HTTP request has stored a new session, whose cookie its response brings: sockets on the session it replaces reconnect, and those of other
   * handshake cookies are moved.
   */
  readonly onNewSession = (request: object, sid: string): void => {
    // An application may store a session that belongs to no request.
    if (!(request as Partial<IncomingMessage>).headers) return
    const sent = this.#browser.read(request as IncomingMessage)
    const values = [sent.session, activeCookies(sent)[0]?.value].filter((value) => value !== undefined)
    // An application's own `genid` may give an id that was used before.
    const replaced = values.map(claimedSid).filter((id) => id !== sid)
    const response = responseTo(request)
    if (!response || replaced.length + sent.handshake.length === 0) return
    const wasMissed = sent.session !== undefined && this.#context.manager?.successors.wasMissed(claimedSid(sent.session))
    responseFinished(response).then(async () => {
      // express-session sets no cookie for a new session that was saved without a change: the browser goes on with the old one.
      if (!setsCookieOf(sid, response)) return
      for (const id of replaced) this.#context.manager?.successors.replaced(id)
      if (!response.writableFinished) return
      // Their sockets come back at once. The browser is to have the new cookie by then.
      await cookieArrival()
      // It was stored after the request had looked for it, and a tab has found it.
      if (wasMissed && sent.session !== undefined) this.#moveIfLive(request as IncomingMessage, sent.session, sid)
      const values = sent.handshake.map(({ value }) => value)
      await this.#browser.moveSessions(request as IncomingMessage, values, sid)
    })
  }

  /** @param value of the session cookie that the browser had */
  #moveIfLive(request: IncomingMessage, value: string, to: string): void {
    const { manager } = this.#context
    const sid = this.#browser.verifiedSid(request, value)
    const replica = sid === undefined || sid === to ? undefined : manager?.registry.get(sid)
    if (!manager || !replica || replica.ended) return
    const moved = manager.moveUnnamed(replica.sid, to)
    moved.catch((cause) => debug('a session that was stored late could not be moved: %s', errorLabel(cause)))
  }

  /** A later request of an open connection: it is closed if the browser has another session by now. */
  onConnectionRequest(request: IncomingMessage, conn: ClosableConnection & { request: IncomingMessage }): void {
    const cookie = this.#records.get(conn.request)
    if (!cookie || request === conn.request) return
    const sent = this.#browser.read(request)
    const value = this.#browser.activeValue(request)
    const client = newClientOf(this.#context.manager, conn.request)
    const values = [sent.session, ...sent.handshake.map((other) => other.value)]
    const isUpgrade = request.headers.upgrade !== undefined
    // No response of an upgraded connection can set a cookie.
    cookie.isTooLate ||= isUpgrade && cookie.preparing !== undefined
    cookie.sendsCookies ||= isUpgrade ? values.some((each) => each === cookie.value && each !== undefined) : value !== undefined
    const isUnchanged = value === cookie.initial
    if (client?.cookieSent && !isUpgrade) client.cookieRejected = isUnchanged
    if (value === undefined || isUnchanged || value === cookie.value || !cookie.sendsCookies) return
    const sid = this.#browser.verifiedSid(request, value)
    cookie.value = value
    if (sid === undefined || sid === cookie.sid) return
    // The client reconnects with the cookies that its browser has by now.
    setImmediate(() => closeConnection(conn))
  }
}
