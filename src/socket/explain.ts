import type { Tombstone } from '../store/session-clock.js'
import { cookieValue } from './cookie-header.js'
import { comesFromElsewhere } from './origin-check.js'
import type { LoadedRequest } from './run-session-middleware.js'

/** What is known of a handshake that came to a session without data. */
export interface HandshakeFacts {
  visited: LoadedRequest
  /** The id in the session cookie that the client has sent, where the middleware accepted it. */
  named: string | undefined
  /** The session cookie's name, where the middleware showed it. */
  cookieName: string | undefined
  /** How the named session ended, where that is known. */
  end: Tombstone | undefined
  /** Its socket cookie leaves with a response of its connection. */
  given: boolean
  /** It has sent a request since it was given its cookie, and the cookie was not in it. */
  refused: boolean
  /** express-session sends no cookie on this connection, because the cookie is `secure`. */
  withheld: boolean
  /** HTTP requests have used this very store. */
  storeInUse: boolean
  /** HTTP requests of this process keep this very session in another store. */
  inOtherStore: boolean
}

export const HOLDS_NOTHING = 'The session was found, and holds no data.'

export const IN_OTHER_STORE =
  'HTTP requests of this process keep the same session in another store than the one that sharedsession() was given: there are two calls of ' +
  'expressSession(), each with a store of its own (without the option store, each makes a MemoryStore). Give one middleware to app.use() and to sharedsession().'

/** Says why a handshake came to a session without data, in a sentence without ids or secrets. */
export function whyEmpty(findings: HandshakeFacts): string {
  const { visited, named, end, storeInUse, inOtherStore } = findings
  const { request } = visited
  if (inOtherStore) return IN_OTHER_STORE
  if (named !== undefined && named === request.session?.id) return HOLDS_NOTHING
  // Also where the cookie was given with this connection's handshake.
  if (end) return `The cookie names a session that has ended (${end.reason}); this one is new.`
  if (findings.refused) {
    return (
      'The client was given the cookie of its session and did not send it back: it keeps no cookies, its browser blocks them, or its ' +
      "page is of another site (set withCredentials: true on the client, and sameSite: 'none' and secure on the cookie). Its session is its own."
    )
  }
  if (named === undefined) return whyNotNamed(findings)
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

function whyNotNamed({ visited, cookieName: name, given, withheld }: HandshakeFacts): string {
  const { headers } = visited.request
  const { cookie: header } = headers
  const value = header !== undefined && name !== undefined ? cookieValue(header, name) : undefined
  if (value !== undefined) {
    return isSigned(value)
      ? "The session cookie's signature does not match: it was signed with another secret, or tampered with."
      : 'The session cookie is not signed: it was not set by express-session.'
  }
  if (given) return "This is the client's first contact: its session is new, and its cookie left with the handshake's response."
  if (withheld) return whyWithheld(headers['x-forwarded-proto'])
  if (comesFromElsewhere(headers)) {
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
