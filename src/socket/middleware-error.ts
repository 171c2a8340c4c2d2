import { SharedSessionError } from '../errors.js'

const NOT_LOADED = 'The session could not be loaded: '
const NOT_EXPRESS =
  "Socket.IO's requests are Node's, not Express's: they have no req.hostname, req.ip, req.protocol, req.query or req.app. The server has the cause."

/** What was reported while the session middleware ran for a handshake, and came from the store. */
export function storeReported(cause: unknown): SharedSessionError {
  return failed(
    `${NOT_LOADED}the session store reported an error. It is usually the connection to the store; the server has the cause.`,
    cause,
  )
}

/** What did not come from the store. */
export function middlewareReported(cause: unknown): SharedSessionError {
  return failed(
    `${NOT_LOADED}the session middleware or the cookie parser reported an error, and the store none. It is usually a function in the session options (cookie, genid). ${NOT_EXPRESS}`,
    cause,
  )
}

/** What may have come from either, because the store had not been seen before. */
export function somebodyReported(cause: unknown): SharedSessionError {
  return failed(
    `${NOT_LOADED}the session middleware, its store or the cookie parser reported an error. It is usually the connection to the store, or a function in the session options (cookie, genid). ${NOT_EXPRESS}`,
    cause,
  )
}

function failed(message: string, cause: unknown): SharedSessionError {
  return new SharedSessionError('STORE_FAILED', message, { cause })
}

/** The middleware is cookie-session's. */
export function cookieSession(): SharedSessionError {
  return new SharedSessionError(
    'NO_STORE',
    'The session middleware is cookie-session, which keeps each session in its cookie: there is no store that sockets could write to. Use express-session with a store, for app.use() and for sharedsession().',
  )
}
