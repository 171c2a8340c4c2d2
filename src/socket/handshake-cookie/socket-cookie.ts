import { sha256 } from '../../util/hash.js'

/**
 * The socket cookie: names the session of a browser's sockets where no HTTP response has given the browser one yet. A handshake sets it
 * under a name of its own, so that it never replaces a session cookie which HTTP sets. `connect.sid.socket.Ab3dE9xY`, for example: each
 * session has another name, so that handshakes which are answered at once do not replace each other's cookie either. Its value is
 *
 *     <digest of the id of a session that is gone, or nothing>~<the session cookie's value: id and signature>
 *
 * The digest means "instead of": this cookie counts although the browser still sends the session cookie of that session.
 */
export interface SocketCookie {
  readonly name: string
  /** As the session cookie's value: the id and its signature. */
  readonly value: string
  /** The digest of the id it stands in for; empty where the browser had no session cookie. */
  readonly instead: string
}

/** What a request's `Cookie` header says of sessions. */
export interface SentCookies {
  /** The session cookie's value. */
  readonly session: string | undefined
  /** In the order in which they are tried. */
  readonly socket: readonly SocketCookie[]
}

const MARK = '.socket.'
/** A browser has one, or one for each tab of a first visit. Others come from somebody else. */
const MOST = 16

/** @param name of the session cookie */
export function readCookies(header: string | undefined, name: string): SentCookies {
  let session: string | undefined
  const socket: SocketCookie[] = []
  for (const [key, value] of pairs(header)) {
    if (key === name) session ??= value
    else if (isSocketCookie(key, name) && socket.length < MOST) {
      const end = value.indexOf('~')
      if (end >= 0) socket.push({ name: key, value: value.slice(end + 1), instead: value.slice(0, end) })
    }
  }
  // Any order will do that is the same for all requests of a browser.
  return { session, socket: socket.sort((a, b) => (a.name < b.name ? -1 : 1)) }
}

/** May the header have a socket cookie? */
export function hasSocketCookie(header: string | undefined, name: string): header is string {
  return header?.includes(name + MARK) ?? false
}

/** The cookies that count, first the one that is to be tried first; empty where the session cookie counts, or nothing was sent. */
export function counting({ session, socket }: SentCookies): readonly SocketCookie[] {
  if (session === undefined) return socket
  const digest = digestOf(idIn(session))
  return socket.filter(({ instead }) => instead === digest)
}

/** The header with this as the session cookie, and without socket cookies. @param value `undefined`: without a session cookie */
export function withSession(header: string | undefined, name: string, value: string | undefined): string | undefined {
  const others = pairs(header).filter(([key]) => key !== name && !isSocketCookie(key, name))
  const all = value === undefined ? others : [...others, [name, value] as const]
  return all.length === 0 ? undefined : all.map((pair) => pair.join('=')).join('; ')
}

/**
 * The `Set-Cookie` line of a socket cookie.
 * @param line express-session's own, of the session cookie
 * @param sid of the session
 * @param instead the value of the session cookie that the client has sent, if it has
 */
export function socketCookieLine(line: string, sid: string, instead: string | undefined): string {
  const { name, value, attributes } = partsOf(line)
  const digest = instead === undefined ? '' : digestOf(idIn(instead))
  return `${name}${MARK}${digestOf(sid).slice(0, 8)}=${digest}~${value}${attributes}`
}

/** A `Set-Cookie` line that takes a cookie away. @param line of the session cookie: a cookie is known by its path and domain */
export function removalLine(line: string, name: string): string {
  const attributes = partsOf(line).attributes.replace(/; *(Expires|Max-Age)=[^;]*/gi, '')
  return `${name}=${attributes}; Expires=Thu, 01 Jan 1970 00:00:00 GMT`
}

/** The name and the value in a `Set-Cookie` line. */
export function partsOf(line: string): { name: string; value: string; attributes: string } {
  const end = line.includes(';') ? line.indexOf(';') : line.length
  const equals = line.indexOf('=')
  return { name: line.slice(0, equals), value: line.slice(equals + 1, end), attributes: line.slice(end) }
}

function isSocketCookie(key: string, name: string): boolean {
  return key.startsWith(name + MARK)
}

function pairs(header: string | undefined): (readonly [string, string])[] {
  return (header ?? '').split(';').flatMap((part) => {
    const equals = part.indexOf('=')
    return equals < 0 ? [] : [[part.slice(0, equals).trim(), part.slice(equals + 1).trim()] as const]
  })
}

/** The id in a session cookie's value, whoever has signed it. */
export function idIn(value: string): string {
  const text = decoded(value.replace(/^"|"$/g, ''))
  return text.startsWith('s:') ? text.slice(2, text.includes('.') ? text.lastIndexOf('.') : undefined) : text
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

export function digestOf(text: string): string {
  return sha256(text).slice(0, 22)
}
