import { INSPECT } from '../document/document-state.js'
import { proxyInfoOf, registerProxy } from '../document/proxy-registry.js'

/** Where a proxy, and its target, have the view. */
const VIEW = Symbol('sharedsession.view')

/** The answer of {@link ViewSource.peek} where the view has to be made. */
export const NEEDS_VIEW = Symbol('sharedsession.needs-view')

/** What a lazy view shows. */
export interface ViewSource<Owner> {
  /** Is called once. */
  makeView(owner: Owner): object
  /** A property whose value is no object, as the view would show it, while there is no view. @returns {@link NEEDS_VIEW} for any other one */
  peek(owner: Owner, key: string): unknown
}

/** The target of a lazy view's proxy. */
class LazyTarget<Owner> {
  proxy: object | undefined
  #view: object | undefined
  readonly #owner: Owner
  readonly #source: ViewSource<Owner>

  constructor(owner: Owner, source: ViewSource<Owner>) {
    this.#owner = owner
    this.#source = source
  }

  read(key: string | symbol): unknown {
    if (!this.#view && typeof key === 'string') {
      const value = this.#source.peek(this.#owner, key)
      if (value !== NEEDS_VIEW) return value
    }
    return Reflect.get(this[VIEW], key)
  }

  /** The view, made when it is first used. */
  get [VIEW](): object {
    if (this.#view) return this.#view
    const view = this.#source.makeView(this.#owner)
    this.#view = view
    // Assigned somewhere in a session, the proxy counts as the session that it shows.
    const info = proxyInfoOf(view)
    if (info) registerProxy(this.proxy as object, info)
    return view
  }

  // util.inspect looks for it at a proxy's target, and calls it on the proxy.
  [INSPECT](): object {
    return this[VIEW]
  }
}

const TRAPS: ProxyHandler<LazyTarget<unknown>> = {
  get: (target, key) => (key === VIEW ? target[VIEW] : target.read(key)),
  set: ({ [VIEW]: view, proxy }, key, value, receiver) => Reflect.set(view, key, value, receiver === proxy ? view : receiver),
  has: ({ [VIEW]: view }, key) => Reflect.has(view, key),
  deleteProperty: ({ [VIEW]: view }, key) => Reflect.deleteProperty(view, key),
  defineProperty: ({ [VIEW]: view }, key, descriptor) => Reflect.defineProperty(view, key, descriptor),
  ownKeys: ({ [VIEW]: view }) => Reflect.ownKeys(view),
  // Always a configurable one.
  getOwnPropertyDescriptor: ({ [VIEW]: view }, key) => Reflect.getOwnPropertyDescriptor(view, key),
  getPrototypeOf: ({ [VIEW]: view }) => Object.getPrototypeOf(view),
  setPrototypeOf: ({ [VIEW]: view }, prototype) => Reflect.setPrototypeOf(view, prototype),
  preventExtensions: ({ [VIEW]: view }) => Reflect.preventExtensions(view),
}

/**
 * A view of a session that is made when it is first used: handlers take `socket.handshake.session` when a socket connects, and many never look
 * into it, or only for a user's id.
 */
export function lazyView<Owner extends object>(owner: Owner, source: ViewSource<Owner>): object {
  const target = new LazyTarget(owner, source)
  target.proxy = new Proxy(target as LazyTarget<unknown>, TRAPS)
  return target.proxy
}
