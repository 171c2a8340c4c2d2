// The session on the handshake, typed where socket.io lies beside the package, or where pnpm links it; also where TypeScript meets
// the package before it meets socket.io.
import 'sharedsession'
import type { LiveSession } from 'sharedsession'
import type { Socket } from 'socket.io'

export function live(socket: Socket): LiveSession {
  const { session, sessionID } = socket.handshake
  sessionID.length
  // @ts-expect-error not declared by the application
  session.amount
  return session
}
