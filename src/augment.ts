// The only file that adds to the types of another package.
import type { Store } from 'express-session'
import type { DisconnectReason } from 'socket.io'
import type { LiveSession, SharedSessionSocketEvents } from './types.js'

type Ours = keyof SharedSessionSocketEvents

/** Excludes our names: without an event map any listener is accepted for any name, but should not be for ours. */
type NotOurs<Name> = Name extends Ours ? never : Name

/** socket.io's own events of a server-side socket. It does not export their type, which has `any` for the description. */
interface ReservedEvents {
  disconnect: (reason: DisconnectReason, description?: any) => void
  disconnecting: (reason: DisconnectReason, description?: any) => void
  error: (error: Error) => void
}

type NamesOf<Events> = keyof Events & (string | symbol)
type Theirs<Events> = keyof ReservedEvents | NamesOf<Events>

/** The listener of an event of socket.io's or of the application's. As in socket.io, `any` where there is no event map, here and in `off`. */
type TheirListener<Events, Name> = OrUntyped<
  Name extends keyof ReservedEvents ? ReservedEvents[Name] : Name extends NamesOf<Events> ? Events[Name] : never
>
type OrUntyped<Listener> = [Listener] extends [never] ? (...args: any[]) => void | Promise<void> : Listener

declare module 'socket.io' {
  // An overload of ours alone would hide the application's event map, so each is followed by socket.io's own signature.
  interface Socket<ListenEvents, EmitEvents, ServerSideEvents, SocketData> {
    on<Name extends Ours>(event: Name, listener: SharedSessionSocketEvents[Name]): this
    on<Name extends Theirs<ListenEvents>>(event: NotOurs<Name>, listener: TheirListener<ListenEvents, Name>): this
    once<Name extends Ours>(event: Name, listener: SharedSessionSocketEvents[Name]): this
    once<Name extends Theirs<ListenEvents>>(event: NotOurs<Name>, listener: TheirListener<ListenEvents, Name>): this
    off<Name extends Ours>(event: Name, listener: SharedSessionSocketEvents[Name]): this
    off<Name extends string | symbol>(event: NotOurs<Name>, listener: (...args: any[]) => void): this
  }
}

/** The properties that the middleware adds to a socket's handshake. */
interface SharedHandshake {
  session: LiveSession
  sessionID: string
  sessionStore: Store
  /** The cookies of the handshake, as cookie-parser left them. */
  cookies: Record<string, any>
  signedCookies: Record<string, any>
  secret?: string | undefined
}

// socket.io does not export the type of its handshake, nor the path of its file. TypeScript resolves this path from the folder of
// express-session, which is a peer as socket.io is. So it finds the file in every layout, also with pnpm's links. A declaration file may
// name a path that does not exist: then `handshake.session` is untyped, without an error. This is the file of socket.io 4.8,
declare module 'express-session/../socket.io/dist/socket-types.js' {
  interface Handshake extends SharedHandshake {}
}

// and this is the file of 4.6 and 4.7.
declare module 'express-session/../socket.io/dist/socket.js' {
  interface Handshake extends SharedHandshake {}
}
