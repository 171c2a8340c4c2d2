import { INSPECT } from '../document/document-state.js'
import { proxyInfoOf, registerProxy } from '../document/proxy-registry.js'

/** Where a proxy, and its target, have the view. */
const VIEW = Symbol('sharedsession.view')

/** The target of a lazy view's proxy. */
class LazyTarget<Maker> {
  proxy: object | undefined
  #view: object | undefined
  readonly #maker: Maker
  readonly #make: (maker: Maker) => object

  constructor(maker: Maker, make: (maker: Maker) => object) {
    this.#maker = maker
    this.#make = make
  }

  /** The view, made when it is first used. */
  get [VIEW](): object {
    if (this.#view) return this.#view
    const view = this.#make(this.#maker)
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
  get: ({ [VIEW]: view }, key) => (key === VIEW ? view : Reflect.get(view, key)),
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
 * into it.
 * @param make is called once, with `maker`
 */
export function lazyView<Maker extends object>(maker: Maker, make: (maker: Maker) => object): object {
  const target = new LazyTarget(maker, make)
  target.proxy = new Proxy(target as LazyTarget<unknown>, TRAPS)
  return target.proxy
}
