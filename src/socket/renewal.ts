import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Session } from 'express-session'
import { SharedSessionError } from '../errors.js'

type Next = (error?: unknown) => void

/** `shared.renewal()`: stores the session of a request, so that its browser has a cookie of a stored session afterwards. Answers 204. */
export function renewal(request: IncomingMessage, response: ServerResponse, next?: Next): void {
  const { session } = request as { session?: Session | null }
  if (!session) {
    fail(
      response,
      next,
      new SharedSessionError('NO_SESSION', 'The request has no session: use renewal() after the session middleware.'),
    )
    return
  }
  session.save((error: unknown) => {
    if (error) fail(response, next, error)
    else if (!response.headersSent && !response.writableEnded) answer(session, response)
  })
}

function answer(session: Session, response: ServerResponse): void {
  // express-session sends no cookie for a session to which nothing was written, although it is stored by now.
  const mark = 'sharedsession'
  Object.defineProperty(session, mark, { value: true, enumerable: true, configurable: true })
  try {
    response.setHeader('Cache-Control', 'no-store')
    response.writeHead(204)
  } finally {
    Reflect.deleteProperty(session, mark)
  }
  response.end()
}

function fail(response: ServerResponse, next: Next | undefined, error: unknown): void {
  if (next) {
    next(error)
    return
  }
  if (!response.headersSent) response.writeHead(500)
  response.end()
}
