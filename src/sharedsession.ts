import type { Socket } from 'socket.io'
import { SharedSessionInstance } from './instance.js'
import { findNext, noteFirstSocket, refuseUncalled, refuseWrongUse } from './misuse.js'
import type { SharedSessionOptions } from './options.js'
import { parseArguments } from './parse-arguments.js'
import type { PublishedBy, PublishOption } from './publish-types.js'
import type { Recipe } from './session/update-transaction.js'
import { isSocket } from './socket/namespaces.js'
import { renewal } from './socket/renewal.js'
import type { LiveSession, PlainSession, SessionMiddleware, SharedSession, Target } from './types.js'

// The sources from the outside in. Each part imports only what stands below it; the main files of most folders have a map of the folder.
//
//   index.ts          exports
//   sharedsession.ts  sharedsession(): its arguments (parse-arguments.ts, misuse.ts), the middleware and its members
//   instance.ts       what the middleware and the members do
//   doctor/           shared.doctor(), loaded at its first call (session-settings.ts: what a session middleware shows of its options)
//   socket/           Socket.IO: handshakes, sockets, events, acks (handshake.ts)
//   session/          the live sessions of this process (session-manager.ts)
//   cluster/          the other processes: messages and buses (cluster-sync.ts)
//   store/            commits to the express-session store, and its drivers (committer.ts)
//   document/         a JSON document that tracks writes, and merges (tracked-document.ts)
//   util/
//
//   options.ts, errors.ts, debug.ts, types.ts and augment.ts (socket.io's types) are used everywhere.

/**
 * Shares the sessions of express-session with Socket.IO, live.
 * @param session the middleware that `express-session` returned: the one that the Express app uses
 * @returns a namespace middleware, for `io.use()` and `io.of(name).use()`, with members
 * @throws `BAD_ARGUMENT`, `BAD_OPTION`
 */
export function sharedsession<const Publish extends PublishOption>(
  session: SessionMiddleware,
  options?: SharedSessionOptions<Publish>,
): SharedSession<PublishedBy<Publish>>
/** @param cookieParser parses the cookies of handshakes, instead of a cookie-parser without a secret */
export function sharedsession<const Publish extends PublishOption>(
  session: SessionMiddleware,
  cookieParser: SessionMiddleware,
  options?: SharedSessionOptions<Publish>,
): SharedSession<PublishedBy<Publish>>
export function sharedsession(session: unknown, second?: unknown, third?: unknown): SharedSession {
  const next = findNext([session, second, third])
  if (next) return refuseUncalled([session], next) as never
  const instance = new SharedSessionInstance(parseArguments(session, second, third))
  let isFirst = true
  const middleware = function sharedsession(socket: Socket, next: (error?: Error) => void, ...rest: unknown[]): void {
    if (isSocket(socket)) {
      if (isFirst) noteFirstSocket(socket, middleware)
      isFirst = false
      instance.handleSocket(socket, next)
    } else refuseWrongUse([socket, next, ...rest])
  }
  const members: Omit<SharedSession, 'Published'> = {
    attach(io) {
      instance.attach(io, middleware)
      return io
    },
    cookies(request, response, next) {
      instance.readCookies(request, response)
      next?.()
    },
    events: instance.events,
    session(socket: Socket): LiveSession {
      const member = instance.member(socket)
      return member.replica.view(member)
    },
    snapshot: (target: Target) => instance.replica(target).document.snapshot() as PlainSession,
    // The caller says what the data is; inside it is any JSON object.
    published: (target: Target) => instance.published(target),
    renewal: () => renewal,
    update: async <Data extends object>(target: Target, recipe: (draft: Data) => unknown) =>
      (await instance.update(target, recipe as unknown as Recipe)) as unknown as Data,
    destroy: async (target: Target) => instance.destroy(target),
    room: (target: Target) => instance.room(target),
    flush: () => instance.flush(),
    close: () => instance.close(),
    explain: (socket: Socket) => instance.explain(socket),
    doctor: () => instance.doctor(),
    stats: () => instance.stats(),
  }
  // `Published` is a type without a value.
  return Object.assign(middleware, members) as SharedSession
}
