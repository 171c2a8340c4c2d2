import type { IncomingMessage } from 'node:http'
import type { Server } from 'socket.io'
import { debug } from '../debug.js'
import type { Response } from '../store/requests.js'
import { Takeover } from '../store/takeover.js'
import type { Decide, Engine, Headers } from './arrival.js'

/** What is done for a client's handshake before it is answered. */
export interface Greeter {
  /** @returns what the handshake has to wait for; `undefined` for nothing. */
  greet(request: IncomingMessage, engine: Engine): Promise<unknown> | undefined
  /** The `Set-Cookie` line that its response is to carry. */
  setCookie(request: IncomingMessage): string | undefined
}

/** The engines of a server. */
export interface Engines {
  /** One that the server had before it was known here, and does not show any more. */
  meet(engine: Engine): void
  /** Lets go of them, and of the server. */
  leave(): void
}

/**
 * Meets each client of a server once, before its handshake is answered, on every transport that starts with an HTTP request.
 * Engine.IO asks `allowRequest` for a handshake alone, where its middlewares run for every poll, and close every WebTransport session.
 */
export function meetHandshakes(io: Server, greeter: Greeter): Engines {
  const met = new Map<Engine, () => void>()
  const meet = (engine: Engine | undefined): void => {
    if (engine?.opts && !met.has(engine)) met.set(engine, meetEngine(engine, greeter))
  }
  // A server has an engine for each HTTP server that it is attached to, which may come later.
  const takeover = new Takeover<'bind'>(io)
  const { bind } = io
  let standing = true
  takeover.put('bind', (engine: Engine) => {
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
    },
  }
}

function meetEngine(engine: Engine, greeter: Greeter): () => void {
  const { opts } = engine
  const { allowRequest } = opts
  const takeover = new Takeover<'allowRequest'>(opts)
  /** Of handshakes that wait: later Engine.IO has forgotten it, and the connection may be busy with another one. */
  const responses = new WeakMap<IncomingMessage, Response>()
  let standing = true
  takeover.put('allowRequest', (request: IncomingMessage & { res?: Response }, decide: Decide) => {
    const allowed: Decide = (error, success) => {
      const waiting = standing && success ? greeter.greet(request, engine) : undefined
      if (!waiting) return decide(error, success)
      if (request.res) responses.set(request, request.res)
      const leave = standBy(request)
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
    const line = greeter.setCookie(request)
    if (line !== undefined) addCookie(headers, line, request, responses.get(request))
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
function standBy({ socket }: IncomingMessage): () => void {
  const reset = (cause: Error): void => debug('a client has left before its handshake was answered: %s', cause.message)
  // Servers other than Node's have none.
  socket?.on('error', reset)
  return () => void socket?.off('error', reset)
}

/** On an upgrade each header becomes one line, where a list would become one line with commas: one name has several spellings. */
const NAMES = ['Set-Cookie', 'set-cookie', 'SET-COOKIE', 'Set-cookie']

function addCookie(headers: Headers, line: string, { headers: sent }: IncomingMessage, response: Response | undefined): void {
  if (sent.upgrade !== undefined) {
    const free = NAMES.find((name) => headers[name] === undefined)
    if (free !== undefined) headers[free] = line
    return
  }
  const name = Object.keys(headers).find((key) => key.toLowerCase() === 'set-cookie') ?? 'Set-Cookie'
  // What Engine.IO's middlewares have set is replaced by a header of that name.
  const before = headers[name] ?? response?.getHeader?.('set-cookie') ?? []
  headers[name] = [before, line].flat().map(String)
}
