import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Server } from 'socket.io'
import { debug, errorLabel } from '../../debug.js'
import { type Response, responseTo, type StoreRequest } from '../../store/in-flight-requests.js'
import { reserveAttached } from '../../util/attached.js'
import { getOrInsert } from '../../util/maps.js'
import { MethodPatch } from '../../util/method-patch.js'
import { settleWithin } from '../../util/promises.js'
import { SharedListeners } from '../../util/shared-listeners.js'
import { SET_COOKIE } from './handshake-cookie.js'
import type { HandshakePreparer } from './handshake-preparer.js'
import type { Decide, Engine, Headers } from './incoming-handshake.js'

/** How long a handshake may wait for its session before it is answered, in ms: a slow store does not keep connections from being made. */
const ANSWER_WAIT = 1000

type RequestListener = (request: IncomingMessage, response?: ServerResponse) => void

/** An HTTP server, of whatever package. */
export interface HttpServer {
  prependListener(event: string, listener: RequestListener): unknown
  off(event: string, listener: RequestListener): unknown
  listeners(event: string): unknown[]
}

/**
 * Hooks into the engines of a Socket.IO server, for {@link HandshakePreparer}: before a handshake is answered, when a response of a
 * connection is written, and at every request of the HTTP server.
 *
 * Engine.IO calls `allowRequest` for handshakes only, on every transport that begins with an HTTP request. Its middlewares would run for
 * every poll, and close every WebTransport session.
 */
export class EngineHooks {
  readonly #io: Server
  readonly #preparer: HandshakePreparer
  readonly #bind: MethodPatch<'bind'>
  /** With what removes the hooks again. */
  readonly #engines = new Map<Engine, () => void>()
  readonly #requestHooks = new Set<RequestHook>()
  #active = true

  constructor(io: Server, preparer: HandshakePreparer) {
    this.#io = io
    this.#preparer = preparer
    // A server has an engine for each HTTP server that it is attached to, also later.
    this.#bind = new MethodPatch<'bind'>(io)
    const { bind } = io
    this.#bind.replace('bind', (engine: Engine) => {
      const result = bind.call(io, engine as never)
      if (this.#active) this.register(engine, undefined)
      return result
    })
    // Before `io.attach()` there is none, which socket.io's type does not say.
    this.register(io.engine as unknown as Engine | undefined, undefined)
  }

  /** Hooks into an engine and an HTTP server, if they are new. `io` shows only its last engine; a connection shows its own. */
  register(engine: Engine | undefined, httpServer: HttpServer | undefined): void {
    if (engine?.opts && !this.#engines.has(engine)) {
      this.#engines.set(engine, hookEngine(engine, this.#preparer))
      for (const conn of Object.values(engine.clients ?? {})) if (conn?.request) this.#preparer.addAnswered(conn.request)
    }
    // socket.io declares its HTTP server private.
    const server = httpServer ?? (this.#io as unknown as { httpServer?: HttpServer }).httpServer
    if (!server) return
    const hook = RequestHook.of(server)
    if (this.#requestHooks.has(hook)) hook.moveToFront()
    else {
      this.#requestHooks.add(hook)
      hook.add(this.#onRequest)
    }
  }

  /** Leaves the server as it was. */
  restore(): void {
    this.#active = false
    this.#bind.restore()
    for (const unhook of this.#engines.values()) unhook()
    for (const hook of this.#requestHooks) hook.remove(this.#onRequest)
  }

  readonly #onRequest: RequestListener = (request, response) => {
    const id = connectionId(request.url)
    const conn = id === undefined ? undefined : [...this.#engines.keys()].map((engine) => connectionOf(engine, id)).find(Boolean)
    if (conn) this.#preparer.connections.onConnectionRequest(request, conn)
    else this.#preparer.onRequest(request, response)
  }
}

const requestHooks = new WeakMap<HttpServer, RequestHook>()

/** Calls listeners for each request of an HTTP server, upgrades too, before all other listeners. The server has one, for all instances. */
class RequestHook {
  readonly #server: HttpServer
  readonly #hooks: (readonly [event: string, listener: RequestListener])[]
  /** The last one first. */
  #listeners: readonly RequestListener[] = []

  static of(server: HttpServer): RequestHook {
    return getOrInsert(requestHooks, server, () => new RequestHook(server))
  }

  private constructor(server: HttpServer) {
    this.#server = server
    // The second argument of 'upgrade' is no response.
    this.#hooks = [
      ['request', (request, response) => this.#onRequest(request, response)],
      [
        'upgrade',
        (request) => {
          // Before Engine.IO gives the request a property that it deletes again.
          reserveAttached(request)
          this.#onRequest(request)
        },
      ],
    ]
  }

  add(listener: RequestListener): void {
    this.#listeners = [listener, ...this.#listeners]
    this.moveToFront()
  }

  /** An engine that is attached later puts its own listener before all that are there. */
  moveToFront(): void {
    const server = this.#server
    for (const [event, listener] of this.#hooks) {
      if (server.listeners(event)[0] === listener) continue
      server.off(event, listener)
      server.prependListener(event, listener)
    }
  }

  remove(listener: RequestListener): void {
    this.#listeners = this.#listeners.filter((each) => each !== listener)
    if (this.#listeners.length > 0) return
    for (const [event, hook] of this.#hooks) this.#server.off(event, hook)
  }

  #onRequest(request: IncomingMessage, response?: ServerResponse): void {
    for (const listener of this.#listeners) {
      try {
        listener(request, response)
      } catch (cause) {
        debug('the cookies of a request were not read: %s', errorLabel(cause))
      }
    }
  }
}

const headersListeners = new SharedListeners<[headers: Headers, request: IncomingMessage]>('headers')

/** @returns removes the hooks again */
function hookEngine(engine: Engine, preparer: HandshakePreparer): () => void {
  const { opts } = engine
  const { allowRequest } = opts
  const patch = new MethodPatch<'allowRequest'>(opts)
  let isActive = true
  patch.replace('allowRequest', (request: HandshakeRequest, decide: Decide) => {
    const onAllowed: Decide = (error, success) => {
      const prepared = isActive && success ? preparer.prepare(request, engine) : undefined
      if (!prepared) return decide(error, success)
      answerAfter(prepared, request, () => decide(error, success))
    }
    if (allowRequest) allowRequest.call(opts, request, onAllowed)
    else onAllowed(null, true)
  })
  const onHeaders = (headers: Headers, request: IncomingMessage): void => {
    const first = connectionOf(engine, connectionId(request.url))?.request ?? request
    const lines = preparer.takeSetCookies(first)
    if (lines.length > 0) addSetCookies(headers, lines, request)
  }
  // After 'initial_headers', where applications set their headers, some by assignment.
  const ignoreHeaders = headersListeners.add(engine, onHeaders)
  return () => {
    isActive = false
    patch.restore()
    ignoreHeaders()
  }
}

/** The first request of a connection. @param res Engine.IO deletes it when it answers; `onAborted` is of uWebSockets.js */
type HandshakeRequest = IncomingMessage & { res?: (Response & { onAborted?(listener: () => void): void }) | null }

/**
 * Answers a handshake when it is prepared.
 * @param answer has Engine.IO decide
 */
function answerAfter(prepared: Promise<unknown>, { socket, res }: HandshakeRequest, answer: () => void): void {
  // Until Engine.IO has decided, an upgraded connection has no listener of 'error': one that its client resets would end the process.
  // Only Node's own servers have a socket.
  socket?.on('error', onReset)
  let mayAnswer = true
  // With uWebSockets.js Engine.IO's answer to a client that has left throws, which would end the process.
  res?.onAborted?.(() => {
    mayAnswer = false
  })
  settleWithin(prepared, ANSWER_WAIT).then(() => {
    socket?.off('error', onReset)
    if (mayAnswer) answer()
  })
}

function onReset(cause: Error): void {
  debug('a client has left before its handshake was answered: %s', cause.message)
}

/** The id of the Engine.IO connection that a request belongs to. */
function connectionId(url: string | undefined): string | undefined {
  if (!url?.includes('sid=')) return undefined
  return new URLSearchParams(url.split('?', 2)[1]).get('sid') ?? undefined
}

/** @param id that a client has sent: it may be the name of a member that all objects have */
function connectionOf({ clients = {} }: Engine, id: string | undefined): NonNullable<Engine['clients']>[string] {
  return id !== undefined && Object.hasOwn(clients, id) ? clients[id] : undefined
}

/** Adds `Set-Cookie` lines to the headers that Engine.IO is about to write. */
function addSetCookies(headers: Headers, lines: readonly string[], request: IncomingMessage): void {
  if (request.headers.upgrade !== undefined) {
    for (const line of lines) headers[unusedSpelling(headers)] = line
    return
  }
  const name = Object.keys(headers).find((key) => key.toLowerCase() === SET_COOKIE)
  const response = responseTo(request as StoreRequest)
  // A header of that name replaces the one that Engine.IO's middlewares have set on the response. The connection may be busy with another one.
  const ofMiddlewares = response?.req === request ? (response.getHeader?.(SET_COOKIE) as string[] | undefined) : undefined
  let others = (name && headers[name]) ?? ofMiddlewares ?? []
  if (name) delete headers[name]
  const property = {
    get: () => [others, lines].flat(2).map(String),
    // A listener of the application that is called after ours may assign its own.
    set(assigned: string | string[]) {
      others = assigned
    },
    configurable: true,
  }
  Object.defineProperty(headers, 'Set-Cookie', { ...property, enumerable: true })
  Object.defineProperty(headers, SET_COOKIE, { ...property, enumerable: false })
}

/** In an upgrade's response each header is one line, and a list would be one line with commas. So each cookie gets a spelling of its own. */
function unusedSpelling(headers: Headers): string {
  for (let spelling = 2; ; spelling++) {
    const name = [...SET_COOKIE].map((letter, index) => (spelling & (1 << index) ? letter.toUpperCase() : letter)).join('')
    if (!(name in headers)) return name
  }
}
