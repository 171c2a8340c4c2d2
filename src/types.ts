import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Session, SessionData } from 'express-session'
import type { Emitter } from 'mitt'
import type { Server, Socket } from 'socket.io'
import type { Patch } from './document/patch.js'
import type { SharedSessionError } from './errors.js'

export type { Patch } from './document/patch.js'

/**
 * A session as sockets hold it: an express-session `Session`, typed by the application's own `SessionData`, whose `save`,
 * `reload` and `destroy` also return promises when they are called without a callback.
 */
export type LiveSession = {
  /**
   * Resolves when everything written so far is in the store. Rejects with `SAVE_FAILED`, `OUTCOME_UNKNOWN` or `SESSION_ENDED`, and where a
   * write of this socket was not made (`NOT_STORABLE`, `RESERVED_KEY`, `TOO_LARGE`).
   */
  save(): Promise<void>
  /** Reads the session from the store again. Rejects with `SESSION_NOT_FOUND` or `STORE_FAILED`. */
  reload(): Promise<void>
  /** Destroys the session in the store and ends its sockets. Rejects with `STORE_FAILED`. */
  destroy(): Promise<void>
} & Session &
  Partial<SessionData>

/** The data of a session without `cookie` and methods: what `snapshot()` gives and an `update()` recipe is handed. */
export type PlainSession = Partial<Omit<SessionData, 'cookie'>>

/** Who changed the session: an HTTP request, another socket, `shared.update()`, or a writer outside this process. */
export type ChangeOrigin = 'http' | 'socket' | 'update' | 'remote'

/** Why a session ended. */
export type EndReason = 'destroyed' | 'expired' | 'regenerated'

/** What `session:changed` says on a socket. */
export interface SessionChange {
  /** The top-level keys that changed. */
  keys: string[]
  /** The change itself, in immer's vocabulary; paths are those of the session as JSON. */
  patches: Patch[]
  origin: ChangeOrigin
  /** The receiving socket's live session. */
  session: LiveSession
}

/** What `session:destroyed` says on a socket. */
export interface SessionEnd {
  reason: EndReason
}

/** Two writers changed the same place; one of them won. */
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
 * Each payload of `shared.events` names its session by `sessionID`, so that it can be given to `snapshot()`, `destroy()` and
 * `room()`. It is not enumerable: session ids are credentials, and a logged payload must not contain one.
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

/** A Socket.IO server, whatever event maps the application gave it. */
export type AnyServer = Server<any, any, any, any>

/** A server-side socket, whatever event maps the application gave it. */
export type AnySocket = Socket<any, any, any, any>

/** What express-session's factory returns, and what an application may have wrapped around it; a cookie parser too. */
export type SessionMiddleware = (request: any, response: any, next: (error?: any) => void) => unknown

/** A session id, a socket, or anything that has a `sessionID`: an Express request, a handshake, the payload of an event. */
export type Target = string | AnySocket | { sessionID?: string | undefined } | IncomingMessage

/** Counts since the first `sharedsession()` call on this store, and what is live now. */
export interface Stats {
  /** How this store is written: MemoryStore, Redis and Postgres in ways of their own, others by their `get` and `set`. */
  driver: 'memory' | 'redis' | 'postgres' | 'generic'
  /**
   * How other processes are told: by Redis, by Postgres, by socket.io's adapter, or by a bus of the application's own. `false`: they are not,
   * or not yet, because the adapter is found when the first socket comes.
   */
  bus: 'redis' | 'postgres' | 'adapter' | 'own' | false
  /** Several processes may write the sessions of this store: nothing that one acknowledges is undone by another. */
  severalProcesses: boolean
  sessions: number
  sockets: number
  reads: number
  writes: number
  touches: number
  merges: number
  conflicts: number
  retries: number
  /** Writes that the store refused because another process was faster; they were done again on what it had made. */
  refusals: number
  /** Messages of other processes about sessions that are live here; 0 where there is no bus. */
  messages: number
  /** Messages to other processes. */
  published: number
}

/** What `@types/express-socket.io-session` calls it. */
export type SocketIoSharedSessionMiddleware = SharedSession

/** What `sharedsession()` returns: a namespace middleware with members. */
export interface SharedSession {
  (socket: AnySocket, next: (error?: Error) => void): void
  /**
   * Uses this middleware on every namespace of the server, present, future and dynamic, before their other middlewares; gives clients
   * without a session cookie theirs with the response to their handshake; lets sockets be recovered only into the session that their
   * cookie names; takes socket.io's adapter for the bus where the store has none. `io.use()` gets as much of that from the first socket on.
   * Idempotent. Throws `BAD_ARGUMENT`, `CLOSED`. @returns the server
   */
  attach<Io extends AnyServer>(io: Io): Io
  /**
   * A request handler, or a listener of an HTTP server's `request`, that lets a socket cookie count as the session cookie. To be used before
   * the session middleware in a process that has no Socket.IO server, or whose server is given `io.use(shared)`: `shared.attach(io)` does it.
   */
  cookies(request: IncomingMessage, response: ServerResponse, next?: () => void): void
  /** The live session of a socket. Throws `NO_SESSION` for a socket that did not come through this middleware; `CLOSED` after `close()`. */
  session(socket: AnySocket): LiveSession
  /** Everything that happens to the sessions of this store, in this process. */
  events: Emitter<SharedSessionEvents>
  /**
   * Changes a session atomically through an immer recipe, which may run several times. Resolves to the new data; rejects with
   * `SESSION_NOT_FOUND`, `BAD_ARGUMENT` (an async recipe), `NOT_STORABLE`, `RESERVED_KEY`, `TOO_LARGE`, or what the recipe threw.
   */
  update<Data extends object = PlainSession>(target: Target, recipe: (draft: Data) => Data | undefined | void): Promise<Data>
  /** A plain deep copy of a live session. Throws `NO_SESSION` where it is not live in this process. */
  snapshot(target: Target): PlainSession
  /** Destroys a session in the store and ends its sockets. Rejects with `STORE_FAILED`. */
  destroy(target: Target): Promise<void>
  /** The room of a session's sockets, in the namespaces this middleware is used on. Throws `BAD_OPTION` with the option `room: false`. */
  room(target: Target): string
  /** Resolves when everything that is to be saved is saved; rejects with `SAVE_FAILED` and what could not be. */
  flush(): Promise<void>
  /** `flush()`, then lets go of the store, of timers and of sockets. Idempotent. */
  close(): Promise<void>
  /**
   * Why a socket's session is empty, that it is not, or why the socket was refused: without ids or secrets. Throws `NO_SESSION` for a
   * socket that did not come through this middleware.
   */
  explain(socket: AnySocket): string
  /** How the store is written, how other processes are told, and counts. Throws `NO_STORE` where the store has not been seen yet. */
  stats(): Stats
}
