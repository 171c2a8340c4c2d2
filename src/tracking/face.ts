import { type Box, type Dict, isBox, isList, isObject, own } from './json.js'
import { LIST_METHODS } from './lists.js'
import type { Node } from './node.js'
import { register } from './origin.js'
import { notStorable, reservedKey } from './problem.js'
import type { State } from './state.js'
import { assign, remove } from './write.js'

/**
 * One author's view of the tree: the root proxy and a proxy for each container read through it. The proxies' targets are the live
 * containers themselves, so nothing is ever revoked; each is found again by its target, so it stays the same.
 */
export class Face<A extends object> {
  readonly root: object
  private readonly proxies = new WeakMap<object, object>()
  private readonly traps: ProxyHandler<Box>

  constructor(
    readonly state: State<A>,
    readonly author: A,
  ) {
    this.traps = new Traps(this)
    this.root = this.make(state.tree.root, new RootTraps(this))
  }

  /** A value of the tree as the application sees it. */
  show(value: unknown, parent?: Node, key = ''): unknown {
    if (!isObject(value)) return value
    const known = this.proxies.get(value)
    if (known) return known
    // A guest is shown as it is.
    if (!isBox(value)) return value
    const { tree } = this.state
    return this.make(parent ? tree.child(value, parent, key) : tree.node(value), this.traps)
  }

  proxyOf(raw: object): object | undefined {
    return this.proxies.get(raw)
  }

  private make(node: Node, traps: ProxyHandler<Box>): object {
    const proxy = new Proxy(node.raw, traps)
    this.proxies.set(node.raw, proxy)
    register(proxy, { raw: node.raw, face: this, state: this.state })
    return proxy
  }
}

/** The traps of every container but the root. */
class Traps<A extends object> implements ProxyHandler<Box> {
  constructor(protected readonly face: Face<A>) {}

  get(target: Box, key: string | symbol): unknown {
    // `session[name][other] = value` with names from outside must not reach Object.prototype.
    if (key === '__proto__') return undefined
    const value = (target as Dict)[key as string]
    if (typeof value === 'function') return (isList(target) && LIST_METHODS.get(key)) || value
    if (isObject(value)) return this.inner(target, key, value)
    if (value === undefined && key === 'toJSON') return this.json(target)
    return value
  }

  set(target: Box, key: string | symbol, value: unknown, receiver: object): boolean {
    if (receiver !== this.face.proxyOf(target)) {
      // The receiver inherits from session data: the property becomes its own.
      return Reflect.defineProperty(receiver, key, { value, writable: true, enumerable: true, configurable: true })
    }
    // Symbols are local to the process: JSON does not know them.
    if (typeof key === 'symbol') return Reflect.set(target, key, value)
    this.write(target, key, value)
    return true
  }

  deleteProperty(target: Box, key: string | symbol): boolean {
    if (typeof key === 'string') this.check(target, key)
    if (typeof key === 'symbol' || !own(target, key) || (isList(target) && key === 'length'))
      return Reflect.deleteProperty(target, key)
    remove(this.face.state, this.node(target), key, this.face.author)
    return true
  }

  defineProperty(target: Box, key: string | symbol, descriptor: PropertyDescriptor): boolean {
    if (typeof key === 'symbol') return Reflect.defineProperty(target, key, descriptor)
    this.check(target, key)
    const { get, set, enumerable, configurable, writable, value } = descriptor
    const refuse = (what: string) => notStorable([...this.face.state.tree.pathOf(this.node(target)), key], what)
    if (get ?? set) throw refuse('JSON has no accessors; assign the value')
    const isLength = isList(target) && key === 'length'
    if ((enumerable === false || configurable === false || writable === false) && !isLength) {
      throw refuse('JSON has no hidden, fixed or read-only properties; assign the value')
    }
    if ('value' in descriptor || !own(target, key)) this.write(target, key, value)
    return true
  }

  getOwnPropertyDescriptor(target: Box, key: string | symbol): PropertyDescriptor | undefined {
    const descriptor = Reflect.getOwnPropertyDescriptor(target, key)
    if (descriptor && isObject(descriptor.value)) descriptor.value = this.inner(target, key, descriptor.value)
    return descriptor
  }

  setPrototypeOf(target: Box, prototype: object | null): boolean {
    if (prototype === Object.getPrototypeOf(target)) return true
    throw this.refuse(target, 'JSON has no prototypes; keep the data and the class apart')
  }

  preventExtensions(target: Box): boolean {
    throw this.refuse(target, 'session data cannot be frozen or sealed; freeze a snapshot of it')
  }

  /** Names that cannot be written here. */
  protected check(target: Box, key: string): void {
    if (key === '__proto__') throw reservedKey([...this.face.state.tree.pathOf(this.node(target)), key])
  }

  /** `JSON.stringify`, which names the key, gets the container itself, at native speed; everybody else a copy. */
  protected json(target: Box): (key?: string) => unknown {
    return (key) => (key === undefined ? this.face.state.guests.image(target) : target)
  }

  protected write(target: Box, key: string, value: unknown): void {
    this.check(target, key)
    assign(this.face.state, this.node(target), key, value, this.face.author)
  }

  private inner(target: Box, key: string | symbol, value: object): unknown {
    if (typeof key === 'symbol' || !own(target, key)) return value
    return this.face.show(value, this.node(target), key)
  }

  private node(target: Box): Node {
    return this.face.state.tree.node(target)
  }

  private refuse(target: Box, what: string): Error {
    return notStorable(this.face.state.tree.pathOf(this.node(target)), what)
  }
}

/** The root also shows what the host answers for. */
class RootTraps<A extends object> extends Traps<A> {
  override get(target: Dict, key: string | symbol): unknown {
    if (typeof key === 'string' && this.isHosts(key)) return this.hosted(key)
    return super.get(target, key)
  }

  override getOwnPropertyDescriptor(target: Dict, key: string | symbol): PropertyDescriptor | undefined {
    if (!own(this.fixed, key)) return super.getOwnPropertyDescriptor(target, key)
    return { value: this.hosted(key as string), writable: true, enumerable: true, configurable: true }
  }

  has(target: Dict, key: string | symbol): boolean {
    return (typeof key === 'string' && this.isHosts(key)) || key in target
  }

  ownKeys(target: Dict): (string | symbol)[] {
    return [...Object.keys(this.fixed), ...Reflect.ownKeys(target)]
  }

  protected override check(_target: Box, key: string): void {
    if (this.face.state.isReserved(key)) throw reservedKey([key])
  }

  protected override json(target: Box): (key?: string) => unknown {
    const { fixed } = this
    return (key) => ({ ...fixed, ...(key === undefined ? this.face.state.guests.dict(target as Dict) : target) })
  }

  private get fixed(): Record<string, unknown> {
    return this.face.state.options.fixed ?? NOTHING
  }

  private isHosts(key: string): boolean {
    return own(this.fixed, key) || (this.face.state.options.members?.has(key) ?? false)
  }

  private hosted(key: string): unknown {
    const { members } = this.face.state.options
    return members?.has(key) ? members.get(key, this.face.author) : this.fixed[key]
  }
}

const NOTHING = {}
