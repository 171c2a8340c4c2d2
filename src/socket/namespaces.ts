import type { Namespace, Server, Socket } from 'socket.io'
import { badArgument } from '../errors.js'
import { SharedListeners } from '../util/shared-listeners.js'

const newNamespaces = new SharedListeners<[Namespace]>('new_namespace')

export type NamespaceMiddleware = (socket: Socket, next: (error?: Error) => void) => void

/** The middlewares of a namespace: there is no public way to put one first, or to remove one. */
interface Middlewares {
  _fns: NamespaceMiddleware[]
}

/** @throws `BAD_ARGUMENT` if it is no Socket.IO server, or one before 4.6 */
export function assertServer(io: unknown): asserts io is Server {
  const { of, sockets, server, serverSideEmitWithAck } = Object(io) as Partial<Server> & { server?: unknown }
  if (typeof of !== 'function' || typeof Object(sockets).on !== 'function') {
    const hint = server
      ? 'It was given a namespace: write namespace.use(shared) for one, or shared.attach(io) for all.'
      : 'It was given something else.'
    badArgument(`attach() takes the Socket.IO server: shared.attach(io). ${hint}`)
  }
  // This method came with 4.6.
  if (typeof serverSideEmitWithAck !== 'function') {
    badArgument('sharedsession needs Socket.IO 4.6 or later, and this server is of an older version: npm install socket.io@4')
  }
}

export function isSocket(socket: unknown): socket is Socket {
  const { nsp, handshake, conn } = Object(socket) as Partial<Socket>
  return typeof nsp?.server === 'object' && handshake !== undefined && conn !== undefined
}

/** The present namespaces of a server. There is no public list. */
export function namespacesOf(io: Server): ReadonlyMap<string, Namespace> {
  return (io as unknown as { _nsps: Map<string, Namespace> })._nsps
}

/** Did the application, or `attach()`, give the namespace this very function? */
export function hasMiddleware(namespace: Namespace, middleware: NamespaceMiddleware): boolean {
  return (namespace as unknown as Partial<Middlewares>)._fns?.includes(middleware) !== false
}

/** Deletes namespaces that were removed from the server: clients choose the names of dynamic ones, so that there may be many. */
export function forgetRemoved(io: Server, namespaces: Map<Namespace, unknown>): void {
  const present = namespacesOf(io)
  if (namespaces.size <= 2 * present.size) return
  for (const namespace of namespaces.keys()) if (present.get(namespace.name) !== namespace) namespaces.delete(namespace)
}

/**
 * Puts a middleware first on every namespace that a server has or will have, dynamic ones too.
 * @param onUsed is called with each
 * @returns removes it again
 */
export function useOnAllNamespaces(
  io: Server,
  middleware: NamespaceMiddleware,
  onUsed: (namespace: Namespace) => void,
): () => void {
  /** Had the application used it itself before? */
  const used = new Map<Namespace, boolean>()
  const use = (namespace: Namespace): void => {
    if (used.has(namespace)) return
    // A child of a dynamic namespace has the middlewares of its parent, perhaps this one too.
    const { _fns } = namespace as unknown as Middlewares
    used.set(namespace, remove(_fns, middleware))
    _fns.unshift(middleware)
    onUsed(namespace)
    forgetRemoved(io, used)
  }
  for (const namespace of namespacesOf(io).values()) use(namespace)
  const ignoreNew = newNamespaces.add(io.sockets, use)
  return () => {
    ignoreNew()
    for (const [namespace, own] of used) if (!own) remove((namespace as unknown as Middlewares)._fns, middleware)
  }
}

/** @returns whether it was in the list */
function remove<T>(list: T[], item: T): boolean {
  const index = list.indexOf(item)
  if (index >= 0) list.splice(index, 1)
  return index >= 0
}
