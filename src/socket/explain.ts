import type { End } from '../session/ends.js'
import type { Shown } from '../store/probe.js'
import type { Visit } from './visit.js'

/**
 * Says why a handshake came to a session without data, in a sentence without ids or secrets.
 * @param end how the named session ended, where that is known
 */
export function whyEmpty({ request, named }: Visit, shown: Shown, end: End | undefined): string {
  if (named === undefined) return whyNotNamed(request.headers.cookie, shown.cookieName)
  if (named === request.session?.id) return 'The session was found in the store, and holds no data.'
  if (end) return `The cookie names a session that has ended (${end.reason}); this one is new.`
  return (
    'The cookie is genuine, but the store has no such session: it has expired, was destroyed, was never saved ' +
    '(saveUninitialized: false), or is kept in another store, prefix or process (MemoryStore is per process and forgets on restart).'
  )
}

function whyNotNamed(header: string | undefined, name: string | undefined): string {
  if (header === undefined) {
    return (
      'The handshake carried no cookie: the visitor has none yet, the page is of another site (set withCredentials: true on the client, ' +
      "and sameSite and secure on the cookie), or the cookie's path or domain does not cover the socket's address."
    )
  }
  // A wrapped middleware does not show its cookie's name.
  if (name === undefined) {
    return (
      'The handshake carried cookies, but none that the session middleware accepted: look at its name option, at its secret, ' +
      "and at the cookie's path and domain."
    )
  }
  const value = cookieValue(header, name)
  if (value === undefined) {
    return (
      `The handshake carried cookies, but not the session's (${name}): the visitor has none yet, the session middleware's name option ` +
      "is another one elsewhere, or the cookie's path or domain does not cover the socket's address."
    )
  }
  return value.startsWith('s:')
    ? "The session cookie's signature does not match: it was signed with another secret, or tampered with."
    : 'The session cookie is not signed: it was not set by express-session.'
}

function cookieValue(header: string, name: string): string | undefined {
  const pair = header.split(';').find((part) => part.slice(0, part.indexOf('=')).trim() === name)
  const value = pair?.slice(pair.indexOf('=') + 1).trim()
  return value?.replace(/^"|"$/g, '').replace(/^s%3A/i, 's:')
}
