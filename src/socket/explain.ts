import { readCookies } from './handshake/handshake-cookie.js'
import { isCrossHost } from './handshake/origin-check.js'
import type { ResolvedSession } from './handshake/resolved-session.js'

export const HOLDS_NOTHING = 'The session was found, and holds no data.'

export const IN_OTHER_STORE =
  'HTTP requests of this process keep the same session in another store than the one that sharedsession() was given: there are two calls of ' +
  'expressSession(), each with a store of its own (without the option store, each makes a MemoryStore). Give one middleware to app.use() and to sharedsession().'

/** Why the session of a handshake has no data, in a sentence without ids or secrets. */
export function whyEmpty(resolved: ResolvedSession): string {
  const { loaded, cookieSid, cookieRejected, tombstone, storeInUse, inOtherStore } = resolved
  if (inOtherStore) return IN_OTHER_STORE
  if (cookieSid !== undefined && cookieSid === loaded.sid) return HOLDS_NOTHING
  // Also if the cookie was sent with this connection's handshake.
  if (tombstone) return `The cookie names a session that has ended (${tombstone.reason}); this one is new.`
  if (cookieRejected) {
    return (
      'The client was given the cookie of its session and did not send it back: it keeps no cookies, its browser blocks them, its ' +
      "page is of another site (set withCredentials: true on the client, and sameSite: 'none' and secure on the cookie), or it sends a fixed " +
      'Cookie header with a cookie of another secret, or that no server has signed. Its session is its own.'
    )
  }
  if (cookieSid === undefined) return whyNoCookie(resolved)
  if (!storeInUse) {
    return (
      'The cookie is genuine, but the store has no such session, and no HTTP request has used this store since the process started. ' +
      'A MemoryStore forgets all sessions on a restart, and then nothing is wrong. If the page came from this process, its app.use() has a session middleware with a store of its own (each expressSession() ' +
      'without a store makes a MemoryStore): give the same middleware to app.use() and to sharedsession().'
    )
  }
  return (
    'The cookie is genuine, but the store has no such session: it has expired, was destroyed, was never saved ' +
    '(saveUninitialized: false), or is kept in another store, prefix or process (MemoryStore is per process and forgets on restart).'
  )
}

function whyNoCookie({ headers, cookieName: name, cookieSent, cookieWithheld }: ResolvedSession): string {
  const { cookie: header } = headers
  const value = name === undefined ? undefined : readCookies(header, name).session
  if (value !== undefined) {
    return isSigned(value)
      ? "The session cookie's signature does not match: it was signed with another secret, or tampered with."
      : 'The session cookie is not signed: it was not set by express-session.'
  }
  if (cookieSent)
    return "This is the client's first contact: its session is new, and its cookie left with the handshake's response."
  if (cookieWithheld) return whyWithheld(headers['x-forwarded-proto'])
  if (isCrossHost(headers)) {
    return (
      "The handshake carried no session cookie, and its page is of another host than this server: the browser sends the cookie only with withCredentials: true on the client, and if the page is of another site only if the cookie is sameSite: 'none' and secure. " +
      'Some browsers never send such a third-party cookie: serve both from one site.'
    )
  }
  if (header === undefined) {
    return (
      'The handshake carried no cookie: the visitor has none yet, the client is told to send none (set withCredentials: true where the ' +
      "page is of another site, and sameSite and secure on the cookie), or the cookie's path or domain does not cover the socket's address."
    )
  }
  // A wrapped middleware does not show its cookie's name.
  if (name === undefined) {
    return (
      'The handshake carried cookies, but none that the session middleware accepted: look at its name option, at its secret, ' +
      "and at the cookie's path and domain."
    )
  }
  return (
    `The handshake carried cookies, but not the session's (${name}): the visitor has none yet, the session middleware's name option ` +
    "is another one elsewhere, or the cookie's path or domain does not cover the socket's address."
  )
}

function whyWithheld(forwarded: string | string[] | undefined): string {
  const withheld =
    "The handshake carried no session cookie. The session's cookie is secure, and express-session takes this connection for one without TLS, on which it sends none: "
  return String(forwarded ?? '').startsWith('https')
    ? `${withheld}X-Forwarded-Proto says https, so set proxy: true in the session options (Express's own 'trust proxy' does not reach Socket.IO's requests).`
    : `${withheld}use https, or cookie: { secure: 'auto' }; behind a proxy that ends TLS, let it set X-Forwarded-Proto and set proxy: true in the session options.`
}

function isSigned(value: string): boolean {
  return value.replace(/^"/, '').replace(/^s%3A/i, 's:').startsWith('s:')
}
