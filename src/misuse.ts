import type { Namespace, Socket } from 'socket.io'
import { warnOnce } from './debug.js'
import { badArgument, SharedSessionError } from './errors.js'
import { hasMiddleware, isSocket, type NamespaceMiddleware } from './socket/namespaces.js'

type Next = (error: Error) => void

const CORRECT_USE = 'Write io.use(shared), io.of(name).use(shared) or shared.attach(io), where shared is sharedsession(session).'

/**
 * Finds the `next` in the arguments of a middleware: of a namespace, of a socket, of Express or of Engine.IO. A function that was used as
 * a middleware by mistake reports its error there: some callers do not catch exceptions, and the process would end.
 * @returns `undefined` if these are no arguments of a middleware
 */
export function findNext(args: readonly unknown[]): Next | undefined {
  const [first, second, third] = args
  if (isSocket(first) || Array.isArray(first)) return asNext(second)
  const { headers, socket } = Object(first) as { headers?: unknown; socket?: unknown }
  return headers && socket ? asNext(third) : undefined
}

/** `sharedsession` itself was used as a middleware. */
export function refuseUncalled(args: readonly unknown[], next: Next): void {
  const where = isSocket(args[0]) ? 'io.use(sharedsession)' : 'use(sharedsession)'
  refuse(next, `sharedsession was given as a middleware without being called, as in ${where}. ${CORRECT_USE}`)
}

/** The namespace middleware was used elsewhere. @throws `BAD_ARGUMENT` if there is no `next` */
export function refuseWrongUse(args: readonly unknown[]): void {
  const what = Array.isArray(args[0])
    ? "an event of a socket: socket.use() takes a middleware for a client's events"
    : 'something that is no socket: app.use() takes the session middleware itself, and io.engine.use() needs none'
  const message = `What sharedsession() returns is a middleware for Socket.IO's namespaces; it was called with ${what}. ${CORRECT_USE}`
  const next = findNext(args)
  if (!next) badArgument(message)
  refuse(next, message)
}

/** How many calls of `sharedsession()` a namespace had that are not among its own middlewares. */
const callsIn = new WeakMap<Namespace, number>()
/** Two may be wrapped, for two stores. */
const MOST_WRAPPED = 3

/** The first socket of a call of `sharedsession()`: warns where there seems to be a call for each socket. */
export function noteFirstSocket({ nsp: namespace }: Socket, middleware: NamespaceMiddleware): void {
  if (hasMiddleware(namespace, middleware)) return
  const calls = (callsIn.get(namespace) ?? 0) + 1
  callsIn.set(namespace, calls)
  if (calls <= MOST_WRAPPED) return
  const what =
    'sharedsession(session) seems to be called for each socket, as in io.use((socket, next) => sharedsession(session)(socket, next))'
  warnOnce('one call for each socket', `${what}: each call stays until its close(). Call it once, outside. ${CORRECT_USE}`)
}

/** It is a warning too, because Engine.IO and sockets do not report the error that they are passed. */
function refuse(next: Next, message: string): void {
  warnOnce(message, message)
  const error = new SharedSessionError('BAD_ARGUMENT', message)
  next(Object.assign(error, { data: { code: error.code } }))
}

function asNext(next: unknown): Next | undefined {
  return typeof next === 'function' ? (next as Next) : undefined
}
