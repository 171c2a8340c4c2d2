// Its own types want a socket.io of long ago.
declare module 'express-socket.io-session' {
  import type { RequestHandler } from 'express'
  import type { Socket } from 'socket.io'

  export default function (
    session: RequestHandler,
    options: { autoSave: boolean },
  ): (socket: Socket, next: (error?: Error) => void) => void
}
