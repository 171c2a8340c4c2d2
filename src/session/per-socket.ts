import { INSPECT } from '../document/document-state.js'
import { proxyInfoOf, registerProxy } from '../document/proxy-registry.js'
import { getOrInsert } from '../util/maps.js'

/** Held weakly by the member: a socket's own keys end with it. */
const views = new WeakMap<object, object>()

/**
 * A socket's view of its session with keys of its own (option `perSocket`): they are kept beside the session, for this socket alone, and
 * hide the session's keys of these names.
 * @param member whose view it is; it gets the same view each time
 * @param session the member's view without own keys, which it is where the socket has none
 */
export function viewOf(member: { readonly perSocket: ReadonlySet<string> | undefined }, session: object): object {
  const { perSocket } = member
  return perSocket ? getOrInsert(views, member, () => withOwnKeys(session, perSocket)) : session
}

function withOwnKeys(session: object, keys: ReadonlySet<string>): object {
  const traps = new OwnKeys(session, keys)
  const target = Object.create(Object.getPrototypeOf(session), {
    // util.inspect looks at a proxy's target.
    [INSPECT]: { value: () => Object.assign(Object.create(Object.getPrototypeOf(session)), { ...view }), configurable: true },
  })
  const view: object = new Proxy(target, traps)
  traps.view = view
  // Assigned somewhere in a session, it counts as the session that it shows.
  const origin = proxyInfoOf(session)
  if (origin) registerProxy(view, origin)
  return view
}

class OwnKeys implements ProxyHandler<object> {
  view: object | undefined
  readonly #session: object
  readonly #keys: ReadonlySet<string>
  readonly #values: Record<string, unknown> = Object.create(null)

  constructor(session: object, keys: ReadonlySet<string>) {
    this.#session = session
    this.#keys = keys
  }

  get(_target: object, key: string | symbol): unknown {
    if (this.#owns(key)) return this.#values[key as string]
    const value = Reflect.get(this.#session, key)
    if (key !== 'toJSON' || Object.hasOwn(this.#session, key)) return value
    return (name?: string) => this.#json((value as (name?: string) => object).call(this.#session, name))
  }

  set(_target: object, key: string | symbol, value: unknown, receiver: object): boolean {
    if (receiver !== this.view) {
      // The receiver inherits from the view: the property becomes its own.
      return Reflect.defineProperty(receiver, key, { value, writable: true, enumerable: true, configurable: true })
    }
    if (!this.#owns(key)) return Reflect.set(this.#session, key, value)
    this.#values[key as string] = value
    return true
  }

  has(_target: object, key: string | symbol): boolean {
    return this.#owns(key) ? key in this.#values : Reflect.has(this.#session, key)
  }

  deleteProperty(_target: object, key: string | symbol): boolean {
    return Reflect.deleteProperty(this.#owns(key) ? this.#values : this.#session, key)
  }

  defineProperty(_target: object, key: string | symbol, descriptor: PropertyDescriptor): boolean {
    if (!this.#owns(key)) return Reflect.defineProperty(this.#session, key, descriptor)
    const { get, set, enumerable, configurable, writable } = descriptor
    // Like the session's own keys: plain values only, whatever the descriptor leaves open.
    if (get || set || enumerable === false || configurable === false || writable === false) return false
    if ('value' in descriptor || !(key in this.#values)) this.#values[key as string] = descriptor.value
    return true
  }

  getOwnPropertyDescriptor(_target: object, key: string | symbol): PropertyDescriptor | undefined {
    const descriptor = Reflect.getOwnPropertyDescriptor(this.#owns(key) ? this.#values : this.#session, key)
    return descriptor && { ...descriptor, configurable: true }
  }

  ownKeys(): (string | symbol)[] {
    const others = Reflect.ownKeys(this.#session).filter((key) => !this.#owns(key))
    return [...others, ...Object.keys(this.#values)]
  }

  setPrototypeOf(_target: object, prototype: object | null): boolean {
    return Reflect.setPrototypeOf(this.#session, prototype)
  }

  preventExtensions(): boolean {
    return false
  }

  #owns(key: string | symbol): boolean {
    return this.#keys.has(key as string)
  }

  #json(session: object): object {
    const others = Object.entries(session).filter(([key]) => !this.#keys.has(key))
    return { ...Object.fromEntries(others), ...this.#values }
  }
}
