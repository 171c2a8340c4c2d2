import type { IncomingMessage } from 'node:http'
import { warnOnce } from '../debug.js'
import type { Hub } from '../session/hub.js'
import type { Engine } from './arrival.js'
import { cookieValue } from './cookie-header.js'
import type { Greeter } from './engine.js'
import { type FirstContact, firstContactOf, type Introduction, introduce, remember } from './first-contact.js'
import type { Reception } from './handshake.js'
import { originProblem } from './origin.js'
import type { SocketRequest } from './own-request.js'

/** Gives a client whose first contact is a socket its session's cookie, with the response to its handshake. */
export class Greeting implements Greeter {
  readonly #reception: Reception
  readonly #contacts = new WeakMap<IncomingMessage, FirstContact>()

  constructor(reception: Reception) {
    this.#reception = reception
  }

  greet(request: IncomingMessage, engine: Engine): Promise<unknown> | undefined {
    const { options, shown } = this.#reception
    const { cookie } = request.headers
    if (!options.handshakeCookie) return undefined
    if (cookie !== undefined && shown.cookieName !== undefined && cookieValue(cookie, shown.cookieName) !== undefined)
      return undefined
    return this.#greet(request, engine)
  }

  setCookie(request: IncomingMessage): string | undefined {
    return this.#contacts.get(request)?.setCookie
  }

  async #greet(request: IncomingMessage, engine: Engine): Promise<void> {
    const { options, timeout } = this.#reception
    // Another call on this store was faster.
    if (firstContactOf(this.#reception.hub(), request)) return
    // A page of another host could otherwise put a cookie over the one that the browser did not send along.
    if (await originProblem(request, engine, options.allowedOrigins, timeout)) return
    const introduction = this.#leftover(request) ?? (await introduce(this.#reception, request))
    if (!introduction) return
    const hub = this.#reception.hub(introduction.store) as Hub
    this.#contacts.set(request, remember(hub, request, introduction))
  }

  /** The session that the same session middleware has made as one of Engine.IO's: its cookie is its own affair. */
  #leftover({ session, sessionStore: store }: SocketRequest): Introduction | undefined {
    if (!session || !store || store !== this.#reception.shown.store) return undefined
    warnOnce(
      'io.engine.use',
      'io.engine.use(session) makes the session middleware run for every poll, and decides about the cookie of clients that have none. sharedsession does not need it: take it out.',
    )
    return { session, store, setCookie: undefined }
  }
}
