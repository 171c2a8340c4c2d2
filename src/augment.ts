// The only place that adds to another package's types.
import type { Store } from 'express-session'
import type { DisconnectReason } from 'socket.io'
import type { LiveSession, SharedSessionSocketEvents } from './types.js'

type Ours = keyof SharedSessionSocketEvents

/** A name that is not ours: an application without an event map accepts any listener, but should not accept any for ours. */
type NotOurs<Name> = Name extends Ours ? never : Name

/** socket.io's own events of a server-side socket, which it does not export. */
interface ReservedEvents {
  disconnect: (reason: DisconnectReason, description?: any) => void
  disconnecting: (reason: DisconnectReason, description?: any) => void
  error: (error: Error) => void
}

type NamesOf<Events> = keyof Events & (string | symbol)
type Theirs<Events> = keyof ReservedEvents | NamesOf<Events>

/** The listener of socket.io's own or of an application's event; untyped where socket.io leaves it untyped. */
type TheirListener<Events, Name> = OrUntyped<
  Name extends keyof ReservedEvents ? ReservedEvents[Name] : Name extends NamesOf<Events> ? Events[Name] : never
>
type OrUntyped<Listener> = [Listener] extends [never] ? (...args: any[]) => void | Promise<void> : Listener

declare module 'socket.io' {
  // Ours alone would take away the application's event map: below each of ours, socket.io's own signature is restated.
  interface Socket<ListenEvents, EmitEvents, ServerSideEvents, SocketData> {
    on<Name extends Ours>(event: Name, listener: SharedSessionSocketEvents[Name]): this
    on<Name extends Theirs<ListenEvents>>(event: NotOurs<Name>, listener: TheirListener<ListenEvents, Name>): this
    once<Name extends Ours>(event: Name, listener: SharedSessionSocketEvents[Name]): this
    once<Name extends Theirs<ListenEvents>>(event: NotOurs<Name>, listener: TheirListener<ListenEvents, Name>): this
    off<Name extends Ours>(event: Name, listener: SharedSessionSocketEvents[Name]): this
    off<Name extends string | symbol>(event: NotOurs<Name>, listener: (...args: any[]) => void): this
  }
}

/** What the handshake of a socket has that came through the middleware. */
interface SharedHandshake {
  session: LiveSession
  sessionID: string
  sessionStore: Store
  /** The cookies of the handshake, as cookie-parser left them. */
  cookies: Record<string, any>
  signedCookies: Record<string, any>
  secret?: string | undefined
}

// socket.io exports no name for its handshake, and nothing of its files. TypeScript looks this path up from beside express-session,
// which is a peer as socket.io is: so it finds the very file in every layout, pnpm's links too. In a declaration file a path that
// leads nowhere is ignored: `handshake.session` is untyped then, and nothing else happens. This is where socket.io 4.8 has it,
declare module 'express-session/../socket.io/dist/socket-types.js' {
  interface Handshake extends SharedHandshake {}
}

// and this is where 4.6 and 4.7 have it.
declare module 'express-session/../socket.io/dist/socket.js' {
  interface Handshake extends SharedHandshake {}
}
