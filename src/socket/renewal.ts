import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Session } from 'express-session'
import { SharedSessionError } from '../errors.js'
import { writeHeadAsWritten } from './handshake/create-session.js'

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
    else if (!response.headersSent && !response.writableEnded) {
      response.setHeader('Cache-Control', 'no-store')
      writeHeadAsWritten(session, response, 204)
      response.end()
    }
  })
}

function fail(response: ServerResponse, next: Next | undefined, error: unknown): void {
  if (next) {
    next(error)
    return
  }
  if (!response.headersSent) response.writeHead(500)
  response.end()
}
