import { warnOnce } from './debug.js'
import { SharedSessionError } from './errors.js'
import { isSocket } from './socket/namespaces.js'

type Next = (error: Error) => void

const RIGHT = 'Write io.use(shared), io.of(name).use(shared) or shared.attach(io), where shared is sharedsession(session).'

/**
 * What a function that is no middleware of that kind is called with where it was given as one. Whoever calls it so expects no exception:
 * some would end the process by it.
 * @returns the `next` that is waited for; `undefined` for any other call
 */
export function awaitedNext(args: readonly unknown[]): Next | undefined {
  const [first, second, third] = args
  if (isSocket(first) || Array.isArray(first)) return asNext(second)
  const { headers, socket } = Object(first) as { headers?: unknown; socket?: unknown }
  return headers && socket ? asNext(third) : undefined
}

/** `sharedsession` itself was given as a middleware. */
export function notCalled(args: readonly unknown[], next: Next): void {
  const where = isSocket(args[0]) ? 'io.use(sharedsession)' : 'use(sharedsession)'
  refuse(next, `sharedsession was given as a middleware without being called, as in ${where}. ${RIGHT}`)
}

/** Its middleware was given to something else than a namespace. Throws where nobody waits for a `next`. */
export function noNamespace(args: readonly unknown[]): void {
  const what = Array.isArray(args[0])
    ? "an event of a socket: socket.use() takes a middleware for a client's events"
    : 'something that is no socket: app.use() takes the session middleware itself, and io.engine.use() needs none'
  const message = `What sharedsession() returns is a middleware for Socket.IO's namespaces; it was called with ${what}. ${RIGHT}`
  const next = awaitedNext(args)
  if (!next) throw new SharedSessionError('BAD_ARGUMENT', message)
  refuse(next, message)
}

/** Engine.IO and sockets tell nobody of an error that they are passed: it is a warning as well. */
function refuse(next: Next, message: string): void {
  warnOnce(message, message)
  const error = new SharedSessionError('BAD_ARGUMENT', message)
  next(Object.assign(error, { data: { code: error.code } }))
}

function asNext(next: unknown): Next | undefined {
  return typeof next === 'function' ? (next as Next) : undefined
}
