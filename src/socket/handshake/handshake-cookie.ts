import type { IncomingMessage, ServerResponse } from 'node:http'
import { sha256 } from '../../util/hash.js'

/**
 * The handshake cookie: it names the session of a browser's sockets as long as no HTTP response has given the browser a session cookie. See
 * the table of both cookies at the head of `handshake-preparer.ts`.
 */
export interface HandshakeCookie {
  readonly name: string
  /** As the session cookie's value: the id and its signature. */
  readonly value: string
  /** The digest of the id of the session that is gone, which this one replaces; empty if the browser had no session cookie. */
  readonly replaces: string
}

/** The cookies of a request that name sessions. */
export interface SentCookies {
  /** The session cookie's value. */
  readonly session: string | undefined
  /** In the order in which they are tried. */
  readonly handshake: readonly HandshakeCookie[]
}

export const SET_COOKIE = 'set-cookie'
const MARK = '.socket.'
/** The most that are read. A browser has one, or one for each tab of a first visit. */
const MAX_HANDSHAKE_COOKIES = 16

/** @param name of the session cookie */
export function readCookies(header: string | undefined, name: string): SentCookies {
  let session: string | undefined
  const handshake: HandshakeCookie[] = []
  for (const [key, value] of pairs(header)) {
    if (key === name) session ??= value
    else if (isHandshakeCookie(key, name) && handshake.length < MAX_HANDSHAKE_COOKIES) {
      const end = value.indexOf('~')
      if (end >= 0) handshake.push({ name: key, value: value.slice(end + 1), replaces: value.slice(0, end) })
    }
  }
  // The order must be the same for all requests of a browser.
  return { session, handshake: handshake.sort((a, b) => (a.name < b.name ? -1 : 1)) }
}

/** May the header have a handshake cookie? */
export function mayHaveHandshakeCookie(header: string | undefined, name: string): header is string {
  return header?.includes(name + MARK) ?? false
}

/**
 * The handshake cookies that count as the session cookie, in the order in which they are tried. Without a session cookie these are all; with
 * one, those that replace it.
 */
export function activeCookies({ session, handshake }: SentCookies): readonly HandshakeCookie[] {
  if (session === undefined || handshake.length === 0) return handshake
  const digest = digestOf(claimedSid(session))
  return handshake.filter(({ replaces }) => replaces === digest)
}

/** The `Cookie` header with this session cookie, and without handshake cookies. @param value `undefined`: without a session cookie */
export function withSessionCookie(header: string | undefined, name: string, value: string | undefined): string | undefined {
  const others = pairs(header).filter(([key]) => key !== name && !isHandshakeCookie(key, name))
  const all = value === undefined ? others : [...others, [name, value] as const]
  return all.length === 0 ? undefined : all.map((pair) => pair.join('=')).join('; ')
}

export function setCookieHeader({ headers }: IncomingMessage, cookie: string | undefined): void {
  if (cookie === undefined) delete headers.cookie
  else headers.cookie = cookie
}

/**
 * The `Set-Cookie` line of a handshake cookie.
 * @param line express-session's own line, of the session cookie
 * @param sid of the session
 * @param sent the value of the session cookie that the client has sent, if it has: that session is gone
 */
export function handshakeCookieLine(line: string, sid: string, sent: string | undefined): string {
  const { name, value, attributes } = parseSetCookie(line)
  const digest = sent === undefined ? '' : digestOf(claimedSid(sent))
  return `${name}${MARK}${digestOf(sid).slice(0, 8)}=${digest}~${value}${attributes}`
}

/** A `Set-Cookie` line that removes a cookie. @param line of the session cookie: path and domain must be the same */
export function removalLine(line: string, name: string): string {
  const attributes = parseSetCookie(line).attributes.replace(/; *(Expires|Max-Age)=[^;]*/gi, '')
  return `${name}=${attributes}; Expires=Thu, 01 Jan 1970 00:00:00 GMT`
}

/** `attributes` begin with their semicolon. */
export function parseSetCookie(line: string): { name: string; value: string; attributes: string } {
  const end = line.includes(';') ? line.indexOf(';') : line.length
  const equals = line.indexOf('=')
  return { name: line.slice(0, equals), value: line.slice(equals + 1, end), attributes: line.slice(end) }
}

/** The `Set-Cookie` lines that a response has so far. */
export function setCookieLines(response: ServerResponse): string[] {
  return [response.getHeader(SET_COOKIE) ?? []].flat().map(String)
}

function isHandshakeCookie(key: string, name: string): boolean {
  return key.startsWith(name + MARK)
}

function pairs(header: string | undefined): (readonly [string, string])[] {
  return (header ?? '').split(';').flatMap((part) => {
    const equals = part.indexOf('=')
    return equals < 0 ? [] : [[part.slice(0, equals).trim(), part.slice(equals + 1).trim()] as const]
  })
}

/** The session id in a session cookie's value; the signature is not verified. */
export function claimedSid(value: string): string {
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
