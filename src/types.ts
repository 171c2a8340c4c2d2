import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Session, SessionData } from 'express-session'
import type { Emitter } from 'mitt'
import type { Server, Socket } from 'socket.io'
import type { Patch } from './document/patch.js'
import type { SharedSessionError } from './errors.js'

export type { Patch } from './document/patch.js'

/**
 * The session of a socket: an express-session `Session`, typed by the application's `SessionData`. `save`, `reload` and `destroy` return
 * promises when they are called without a callback.
 */
export type LiveSession = {
  /**
   * Saves the session. Resolves when everything written so far is in the store.
   * @throws `SAVE_FAILED`, `SESSION_ENDED`; `OUTCOME_UNKNOWN`, also if an earlier save may have lost a write of this socket and no `save()` of
   * the socket has failed for it yet; `NOT_STORABLE`, `RESERVED_KEY`, `TOO_LARGE` if a write of this socket was
   * refused
   */
  save(): Promise<void>
  /** Reads the session from the store again. @throws `SESSION_NOT_FOUND`, `STORE_FAILED` */
  reload(): Promise<void>
  /** Destroys the session in the store and ends its sockets. @throws `STORE_FAILED` */
  destroy(): Promise<void>
} & Session &
  Partial<SessionData>

/** The data of a session, without `cookie` and methods: `snapshot()` returns it, and the recipe of `update()` gets it. */
export type PlainSession = Partial<Omit<SessionData, 'cookie'>>

/** Who changed the session: an HTTP request, another socket, `shared.update()`, or a writer outside this process. */
export type ChangeOrigin = 'http' | 'socket' | 'update' | 'remote'

/** Why a session ended. */
export type EndReason = 'destroyed' | 'expired' | 'regenerated'

/** The payload of `session:changed` on a socket. */
export interface SessionChange {
  /** The top-level keys that changed. */
  keys: string[]
  /** The change as immer's patches; the paths are those of the session as JSON. */
  patches: Patch[]
  origin: ChangeOrigin
  /** The live session of the socket that gets the event. */
  session: LiveSession
}

/** The payload of `session:destroyed` on a socket. */
export interface SessionEnd {
  reason: EndReason
}

/** Two writers changed the value at the same path; one of them won. */
export interface SessionConflict {
  path: (string | number)[]
  base?: unknown
  mine?: unknown
  theirs?: unknown
  won: 'mine' | 'theirs'
}

/** Events on the server-side socket, by name. */
export interface SharedSessionSocketEvents {
  'session:changed': (change: SessionChange) => void
  'session:destroyed': (end: SessionEnd) => void
  'session:error': (error: SharedSessionError) => void
}

/**
 * Each payload of `shared.events` has the `sessionID` of its session, so it is a {@link Target}. Only the `session:error` of a handshake that
 * got no session has none. The property is not enumerable: session ids are credentials, and a logged payload must not contain one.
 */
export interface SessionReference {
  readonly sessionID: string
}

/** Events on `shared.events`, by name, with their payloads. */
export type SharedSessionEvents = {
  'session:changed': SessionReference & Omit<SessionChange, 'session'>
  'session:saved': SessionReference & { keys: string[]; patches: Patch[] }
  'session:destroyed': SessionReference & SessionEnd
  'session:conflict': SessionReference & SessionConflict
  'session:error': SharedSessionError & Partial<SessionReference>
}

/** A Socket.IO server with any event maps. */
export type AnyServer = Server<any, any, any, any>

/** A server-side socket with any event maps. */
export type AnySocket = Socket<any, any, any, any>

/** The middleware that express-session's factory returns, or a wrapper around it; also a cookie parser. */
export type SessionMiddleware = (request: any, response: any, next: (error?: any) => void) => unknown

/** A session id, a socket, or anything that has a `sessionID`: an Express request, a handshake, the payload of an event. */
export type Target = string | AnySocket | { sessionID?: string | undefined } | IncomingMessage

/** Counts since the first `sharedsession()` call on this store, and what is live now. */
export interface Stats {
  /** The driver that writes this store: `memory`, `redis`, `postgres`, or the name of another one. `generic`: by its `get` and `set`. */
  driver: string
  /**
   * How other processes are notified: by Redis, by Postgres, by MongoDB's change streams, by socket.io's adapter, or by your own bus. `false`: not at
   * all, or not yet, because the adapter may only be known from the first socket on, and MongoDB's topology when the store is connected.
   */
  bus: 'redis' | 'postgres' | 'mongodb' | 'adapter' | 'own' | false
  /** May several processes write to this store? If so, no process undoes what another one has acknowledged. */
  severalProcesses: boolean
  sessions: number
  sockets: number
  reads: number
  writes: number
  touches: number
  merges: number
  conflicts: number
  retries: number
  /** Writes that lost the compare-and-set to another process, and were retried on its result. */
  refusals: number
  /** Messages from other processes about sessions that are live here; 0 without a bus. */
  messages: number
  /** Messages to other processes. */
  published: number
}

/** What does not work as the application is set up, or not everywhere. */
export interface Finding {
  /** Stable, and meant for programs. The troubleshooting page says what each one means. */
  code: FindingCode
  /** `error`: something does not work. `warning`: not everywhere, or not safely. `info`: good to know. */
  severity: 'error' | 'warning' | 'info'
  /** What is so. */
  message: string
  /** What to do. */
  advice: string
}

/** The page about troubleshooting has a table that says what each one means. */
export type FindingCode =
  | 'CLOSED'
  | 'NO_STORE'
  | 'OTHER_STORE'
  | 'STORE_UNUSED'
  | 'MEMORY_STORE'
  | 'OWN_METHODS'
  | 'NOT_COMPARING'
  | 'NO_BUS'
  | 'BUS_SILENT'
  | 'BUS_REFUSES'
  | 'ADAPTER_IN_MEMORY'
  | 'REVALIDATE_OFF'
  | 'MIDDLEWARE_UNREADABLE'
  | 'STORE_DISCONNECTED'
  | 'COOKIE_PATH'
  | 'COOKIE_INVALID'
  | 'COOKIE_SECURE'
  | 'COOKIE_SAME_SITE'
  | 'COOKIE_MAX_AGE'
  | 'COOKIE_NAME'
  | 'CROSS_SITE'
  | 'SAVE_UNINITIALIZED'
  | 'RESAVE'
  | 'ROLLING'
  | 'NO_SERVER'
  | 'NOT_ATTACHED'
  | 'ENGINE_MIDDLEWARE'
  | 'CORS_CREDENTIALS'
  | 'CORS_ANY_ORIGIN'
  | 'ANY_ORIGIN'
  | 'NO_RECOVERY'
  | 'NO_AUTO_SAVE'
  | 'PUBLISH_PER_SOCKET'

/** What `doctor()` has found. No session id, secret or address is in it. */
export interface Diagnosis {
  /** The worst first. */
  findings: Finding[]
  /** The findings, and what the application has: store, driver, bus, cookie, Socket.IO's servers. Lines to print. */
  text: string
}

/** What a session publishes, to be embedded in a page: `mirror(socket, { initial })` takes it. */
export interface PublishedState<State> {
  state: State
  /** Names the state by its content: a page that has it already is not sent it again. */
  tag: string
}

/** Its name in `@types/express-socket.io-session`. */
export type SocketIoSharedSessionMiddleware = SharedSession

/**
 * The return value of `sharedsession()`: a namespace middleware with members.
 * @template State what the option `publish` makes of a session, as JSON
 */
export interface SharedSession<State = unknown> {
  (socket: AnySocket, next: (error?: Error) => void): void
  /**
   * Uses this middleware on every namespace of the server, present, future and dynamic, before their other middlewares. Clients without a
   * session get a cookie with the response to their handshake. Sockets are recovered only into the session that their cookie names.
   * socket.io's adapter is the bus if the store has none. With `io.use()` the same holds from the first socket on. Idempotent.
   * @returns the server
   * @throws `BAD_ARGUMENT`, `CLOSED`
   */
  attach<Io extends AnyServer>(io: Io): Io
  /**
   * A request handler, or a listener of an HTTP server's `request`, that makes a handshake cookie count as the session cookie.
   * `shared.attach(io)` does so for its server. With `io.use(shared)`, or in a process without Socket.IO, use this before the session
   * middleware.
   */
  cookies(request: IncomingMessage, response: ServerResponse, next?: () => void): void
  /**
   * The live session of a socket.
   * @throws `NO_SESSION` if the socket did not come through this middleware; `CLOSED` after `close()`
   */
  session(socket: AnySocket): LiveSession
  /** Only a type, `typeof shared.Published`: what pages have of a session. There is no such value. */
  readonly Published: State
  /**
   * What a session publishes now, for a page that is rendered with it. Of a request: what its session holds, also what is not saved yet. Of a
   * socket or the id of a live session: what the store holds.
   * @throws `NOT_PUBLISHED` without the option `publish`; `BAD_OPTION` if that has a second parameter; `NO_SESSION`, `PUBLISH_FAILED`,
   * `TOO_LARGE_TO_PUBLISH`
   */
  published(target: Target): PublishedState<State>
  /**
   * A request handler that gives a browser a stored session and its cookie: `app.post('/session', shared.renewal())`, after the session
   * middleware. It answers 204. A page calls it when the server has answered `RENEWAL_NEEDED`.
   */
  renewal(): (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void) => void
  /** The events of all sessions of this store, in this process. */
  events: Emitter<SharedSessionEvents>
  /**
   * Changes a session atomically through an immer recipe, which may run several times. Resolves to the new data.
   * @throws `SESSION_NOT_FOUND`, `BAD_ARGUMENT` (no recipe, or an async one), `NOT_STORABLE`, `RESERVED_KEY`, `TOO_LARGE`, `STORE_FAILED`,
   * `STORE_TIMEOUT`, `OUTCOME_UNKNOWN`, or what the recipe threw
   */
  update<Data extends object = PlainSession>(
    target: Target,
    recipe: (draft: Data) => Data | undefined | void,
  ): Promise<NoInfer<Data>>
  /** A plain deep copy of a live session. @throws `NO_SESSION` if no socket of this process has the session */
  snapshot(target: Target): PlainSession
  /** Destroys a session in the store and ends its sockets, on every node. @throws `STORE_FAILED` */
  destroy(target: Target): Promise<void>
  /** The room of a session's sockets, in the namespaces that use this middleware. @throws `BAD_OPTION` with the option `room: false` */
  room(target: Target): string
  /** Resolves when all pending saves are done. @throws one `SAVE_FAILED`, whose `cause.errors` has the error of each failed save */
  flush(): Promise<void>
  /** `flush()`, then restores the store, stops all timers and releases the sockets. Idempotent. @throws as `flush()` */
  close(): Promise<void>
  /**
   * Says why a socket's session is empty, that it is not empty, or why the socket was refused: without ids or secrets.
   * @throws `NO_SESSION` if the socket did not come through this middleware
   */
  explain(socket: AnySocket): string
  /**
   * What this application has (store, driver, bus, cookie), what of it does not work or is not safe across processes, and what to do. It
   * changes nothing, and asks no server. To be called when the application is set up: it knows what has been seen until then.
   */
  doctor(): Diagnosis
  /** How the store is written, how other processes are notified, and counts. @throws `NO_STORE` if the store is not known yet */
  stats(): Stats
}
