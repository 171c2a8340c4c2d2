import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Server } from 'socket.io'
import { debug } from '../../debug.js'
import type { Response } from '../../store/in-flight-requests.js'
import { MethodPatch } from '../../util/method-patch.js'
import type { Decide, Engine, Headers } from '../incoming-handshake.js'
import { type HttpServer, lookAtRequests } from './http-server.js'

/** What is done for a client's handshake before it is answered. */
export interface HandshakeHook {
  /** @returns what the handshake has to wait for; `undefined` for nothing. */
  greet(request: IncomingMessage, engine: Engine): Promise<unknown> | undefined
  /** A handshake that was answered before its server was known. */
  early(request: IncomingMessage): void
  /** The `Set-Cookie` lines that the next response of its connection is to carry. @param request the connection's first one */
  setCookies(request: IncomingMessage): string[]
  /** Any request to the server, before anybody else sees it. @param response `undefined` for an upgrade, and for Engine.IO's own */
  request(request: IncomingMessage, response: ServerResponse | undefined): void
  /** A later request of a connection that is open. */
  polled(request: IncomingMessage, conn: Connected): void
}

/** A connection of Engine.IO's. */
type Connected = NonNullable<Engine['clients']>[string]

/** The engines of a server. */
export interface Engines {
  /** One that the server had before it was known here, and does not show any more. */
  meet(engine: Engine, httpServer: HttpServer | undefined): void
  /** Lets go of them, and of the server. */
  leave(): void
}

/**
 * Meets each client of a server once, before its handshake is answered, on every transport that starts with an HTTP request.
 * Engine.IO asks `allowRequest` for a handshake alone, where its middlewares run for every poll, and close every WebTransport session.
 */
export function hookHandshakes(io: Server, greeter: HandshakeHook): Engines {
  const met = new Map<Engine, () => void>()
  const servers = new Map<HttpServer, ReturnType<typeof lookAtRequests>>()
  const see = (request: IncomingMessage, response: ServerResponse | undefined): void => {
    const sid = engineIdIn(request.url)
    const conn = sid === undefined ? undefined : [...met.keys()].map(({ clients }) => clients?.[sid]).find(Boolean)
    if (conn) greeter.polled(request, conn)
    else greeter.request(request, response)
  }
  const meet = (engine: Engine | undefined, httpServer = (io as unknown as { httpServer?: HttpServer }).httpServer): void => {
    if (engine?.opts && !met.has(engine)) {
      met.set(engine, meetEngine(engine, greeter))
      for (const conn of Object.values(engine.clients ?? {})) if (conn?.request) greeter.early(conn.request)
    }
    if (!httpServer) return
    const looking = servers.get(httpServer)
    if (looking) looking.first()
    else servers.set(httpServer, lookAtRequests(httpServer, see))
  }
  // A server has an engine for each HTTP server that it is attached to, which may come later.
  const takeover = new MethodPatch<'bind'>(io)
  const { bind } = io
  let standing = true
  takeover.replace('bind', (engine: Engine) => {
    const result = bind.call(io, engine as never)
    if (standing) meet(engine)
    return result
  })
  meet(io.engine as unknown as Engine | undefined)
  return {
    meet,
    leave() {
      standing = false
      takeover.restore()
      for (const leave of met.values()) leave()
      for (const { stop } of servers.values()) stop()
    },
  }
}

function meetEngine(engine: Engine, greeter: HandshakeHook): () => void {
  const { opts } = engine
  const { allowRequest } = opts
  const takeover = new MethodPatch<'allowRequest'>(opts)
  /** Of handshakes that wait: later Engine.IO has forgotten it, and the connection may be busy with another one. */
  const responses = new WeakMap<IncomingMessage, Response>()
  let standing = true
  takeover.replace('allowRequest', (request: IncomingMessage & { res?: Response }, decide: Decide) => {
    const allowed: Decide = (error, success) => {
      const waiting = standing && success ? greeter.greet(request, engine) : undefined
      if (!waiting) return decide(error, success)
      if (request.res) responses.set(request, request.res)
      const leave = ignoreResets(request)
      // A client that could not be greeted comes in all the same: its namespace says what is wrong.
      waiting
        .catch((cause) => debug('no cookie for a client that has none: %s', cause?.message))
        .then(() => {
          leave()
          decide(error, success)
        })
    }
    if (allowRequest) allowRequest.call(opts, request, allowed)
    else allowed(null, true)
  })
  const answer = (headers: Headers, request: IncomingMessage): void => {
    const first = engine.clients?.[engineIdIn(request.url) ?? '']?.request ?? request
    const lines = greeter.setCookies(first)
    if (lines.length > 0) addCookies(headers, lines, request, responses.get(request))
    // The request stays as long as its connection, and would hold it.
    responses.delete(request)
  }
  // After 'initial_headers', where applications set theirs, some by assignment.
  engine.on('headers', answer)
  return () => {
    standing = false
    takeover.restore()
    engine.off('headers', answer)
  }
}

/**
 * Until Engine.IO has decided, nobody listens to an upgraded connection: one that its client resets would end the process.
 * @returns no longer
 */
function ignoreResets({ socket }: IncomingMessage): () => void {
  const reset = (cause: Error): void => debug('a client has left before its handshake was answered: %s', cause.message)
  // Servers other than Node's have none.
  socket?.on('error', reset)
  return () => void socket?.off('error', reset)
}

/** The id of the connection that a request of Engine.IO's belongs to. */
function engineIdIn(url: string | undefined): string | undefined {
  const query = url?.split('?', 2)[1]
  return query?.includes('sid=') ? (new URLSearchParams(query).get('sid') ?? undefined) : undefined
}

function addCookies(
  headers: Headers,
  lines: readonly string[],
  { headers: sent }: IncomingMessage,
  response: Response | undefined,
): void {
  if (sent.upgrade !== undefined) {
    for (const line of lines) headers[unusualName(headers)] = line
    return
  }
  const name = Object.keys(headers).find((key) => key.toLowerCase() === NAME)
  // What Engine.IO's middlewares have set is replaced by a header of that name.
  let others = (name && headers[name]) ?? (response?.getHeader?.(NAME) as string[] | undefined) ?? []
  if (name) delete headers[name]
  const cookies = {
    get: () => [others, lines].flat(2).map(String),
    // A listener of the application's that comes after ours assigns its own.
    set(given: string | string[]) {
      others = given
    },
    configurable: true,
  }
  Object.defineProperty(headers, 'Set-Cookie', { ...cookies, enumerable: true })
  Object.defineProperty(headers, NAME, { ...cookies, enumerable: false })
}

const NAME = 'set-cookie'

/**
 * On an upgrade each header becomes one line, where a list would become one line with commas. One name has many spellings, and
 * applications use few of them.
 */
function unusualName(headers: Headers): string {
  for (let spelling = 2; ; spelling++) {
    const name = [...NAME].map((letter, index) => (spelling & (1 << index) ? letter.toUpperCase() : letter)).join('')
    if (!(name in headers)) return name
  }
}
