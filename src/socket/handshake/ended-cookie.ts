import type { IncomingMessage, ServerResponse } from 'node:http'
import type { InstanceContext } from '../instance-context.js'
import { claimedSid, parseSetCookie, SET_COOKIE, setCookieLines } from './handshake-cookie.js'

/**
 * Leaves the session cookie out of a response where it names a session that has ended. A request that began before a login and ends after it would
 * set the cookie of the session before the login, and so undo the login in the browser. To be called before the session middleware: what is called
 * last when the head is written is called with all cookies.
 */
export function leaveOutEndedCookie(context: InstanceContext, request: IncomingMessage, response: ServerResponse): void {
  const { cookieName: name } = context.probed
  // The browser has no session that could have ended.
  if (name === undefined || !request.headers.cookie?.includes(name)) return
  const { writeHead } = response
  response.writeHead = function (this: ServerResponse, ...args: unknown[]) {
    const clock = context.manager?.clock
    const lines = setCookieLines(this)
    const kept = lines.filter((line) => {
      const cookie = parseSetCookie(line)
      return cookie.name !== name || !clock?.hasEnded(claimedSid(cookie.value))
    })
    if (kept.length === 0 && lines.length > 0) this.removeHeader(SET_COOKIE)
    else if (kept.length < lines.length) this.setHeader(SET_COOKIE, kept)
    return Reflect.apply(writeHead, this, args)
  } as typeof writeHead
}
