import { type Box, type Dict, isBox, isList, isObject, own } from './json.js'
import { LIST_METHODS } from './lists.js'
import type { Node } from './node.js'
import { type Origin, register } from './origin.js'
import { notStorable, reservedKey } from './problem.js'
import type { State } from './state.js'
import { assign, remove } from './write.js'

/**
 * One author's view of the tree: the root proxy and a proxy for each container read through it. The proxies' targets are the live
 * containers themselves, so nothing is ever revoked; each is found again by its target, so it stays the same.
 */
export class Face<A extends object> {
  readonly root: object
  private proxies: WeakMap<object, object> | undefined

  constructor(
    readonly state: State<A>,
    readonly author: A,
  ) {
    this.root = new RootTraps(this, state.tree.root).proxy
  }

  /** A value of the tree as the application sees it. */
  show(value: unknown, parent?: Node, key = ''): unknown {
    if (!isObject(value)) return value
    const known = this.shown(value)
    if (known) return known
    // A guest is shown as it is.
    if (!isBox(value)) return value
    const { tree } = this.state
    const { proxy } = new Traps(this, parent ? tree.child(value, parent, key) : tree.node(value))
    this.proxies ??= new WeakMap()
    this.proxies.set(value, proxy)
    return proxy
  }

  /** The proxy of a container that was read before. */
  shown(raw: object): object | undefined {
    return this.proxies?.get(raw)
  }
}

/** The traps of a container, and what is known of its proxy. */
class Traps<A extends object> implements ProxyHandler<Box>, Origin {
  readonly proxy: object

  constructor(
    readonly face: Face<A>,
    protected readonly node: Node,
  ) {
    this.proxy = new Proxy(node.raw, this)
    register(this.proxy, this)
  }

  get raw(): Box {
    return this.node.raw
  }

  get state(): State<A> {
    return this.face.state
  }

  get(target: Box, key: string | symbol): unknown {
    // `session[name][other] = value` with names from outside must not reach Object.prototype.
    if (key === '__proto__') return undefined
    const value = (target as Dict)[key as string]
    if (isObject(value)) return this.face.shown(value) ?? this.inner(target, key, value)
    if (typeof value === 'function') return (isList(target) && LIST_METHODS.get(key)) || value
    if (value === undefined && key === 'toJSON') return this.json(target)
    return value
  }

  set(target: Box, key: string | symbol, value: unknown, receiver: object): boolean {
    if (receiver !== this.proxy) {
      // The receiver inherits from session data: the property becomes its own.
      return Reflect.defineProperty(receiver, key, { value, writable: true, enumerable: true, configurable: true })
    }
    // Symbols are local to the process: JSON does not know them.
    if (typeof key === 'symbol') return Reflect.set(target, key, value)
    this.write(key, value)
    return true
  }

  deleteProperty(target: Box, key: string | symbol): boolean {
    if (typeof key === 'string') this.check(key)
    if (typeof key === 'symbol' || !own(target, key) || (isList(target) && key === 'length'))
      return Reflect.deleteProperty(target, key)
    remove(this.state, this.node, key, this.face.author)
    return true
  }

  defineProperty(target: Box, key: string | symbol, descriptor: PropertyDescriptor): boolean {
    if (typeof key === 'symbol') return Reflect.defineProperty(target, key, descriptor)
    this.check(key)
    const { get, set, enumerable, configurable, writable, value } = descriptor
    const refuse = (what: string) => notStorable([...this.state.tree.pathOf(this.node), key], what)
    if (get ?? set) throw refuse('JSON has no accessors; assign the value')
    const isLength = isList(target) && key === 'length'
    if ((enumerable === false || configurable === false || writable === false) && !isLength) {
      throw refuse('JSON has no hidden, fixed or read-only properties; assign the value')
    }
    if ('value' in descriptor || !own(target, key)) this.write(key, value)
    return true
  }

  getOwnPropertyDescriptor(target: Box, key: string | symbol): PropertyDescriptor | undefined {
    const descriptor = Reflect.getOwnPropertyDescriptor(target, key)
    if (descriptor && isObject(descriptor.value)) descriptor.value = this.inner(target, key, descriptor.value)
    return descriptor
  }

  setPrototypeOf(target: Box, prototype: object | null): boolean {
    if (prototype === Object.getPrototypeOf(target)) return true
    throw this.refuse('JSON has no prototypes; keep the data and the class apart')
  }

  preventExtensions(): boolean {
    throw this.refuse('session data cannot be frozen or sealed; freeze a snapshot of it')
  }

  /** Names that cannot be written here. */
  protected check(key: string): void {
    if (key === '__proto__') throw reservedKey([...this.state.tree.pathOf(this.node), key])
  }

  /** `JSON.stringify`, which names the key, gets the container itself, at native speed; everybody else a copy. */
  protected json(target: Box): (key?: string) => unknown {
    return (key) => (key === undefined ? this.state.guests.image(target) : target)
  }

  private write(key: string, value: unknown): void {
    this.check(key)
    assign(this.state, this.node, key, value, this.face.author)
  }

  private inner(target: Box, key: string | symbol, value: object): unknown {
    if (typeof key === 'symbol' || !own(target, key)) return value
    return this.face.show(value, this.node, key)
  }

  private refuse(what: string): Error {
    return notStorable(this.state.tree.pathOf(this.node), what)
  }
}

/** The root also shows what the host answers for. */
class RootTraps<A extends object> extends Traps<A> {
  override get(target: Dict, key: string | symbol): unknown {
    // What is in the data cannot be the host's.
    if (typeof key === 'string' && !own(target, key) && this.isHosts(key)) return this.hosted(key)
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

  protected override check(key: string): void {
    if (this.state.isReserved(key)) throw reservedKey([key])
  }

  protected override json(target: Box): (key?: string) => unknown {
    const { fixed } = this
    return (key) => ({ ...fixed, ...(key === undefined ? this.state.guests.dict(target as Dict) : target) })
  }

  private get fixed(): Record<string, unknown> {
    return this.state.options.fixed ?? NOTHING
  }

  private isHosts(key: string): boolean {
    return own(this.fixed, key) || (this.state.options.members?.has(key) ?? false)
  }

  private hosted(key: string): unknown {
    const { members } = this.state.options
    return members?.has(key) ? members.get(key, this.face.author) : this.fixed[key]
  }
}

const NOTHING = {}
