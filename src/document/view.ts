import { LIST_METHODS } from './array-methods.js'
import { notStorable, reservedKey } from './errors.js'
import { type Container, type Dict, hasOwn, isContainer, isList, isObject, type Path } from './json.js'
import type { Node } from './node.js'
import { snapshotOf } from './non-json.js'
import { type ProxyInfo, proxyInfo, registerProxy } from './proxy-registry.js'
import { INSPECT, type State } from './state.js'
import { assign, remove } from './write.js'

/**
 * One author's view of the tree: the root proxy and a proxy for each container read through it. They stand for the live containers
 * themselves, so nothing is ever revoked; each is found again by its container, so it stays the same.
 */
export class DocumentView<A extends object> {
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
    // Objects of the application may hold proxies.
    const origin = proxyInfo(value)
    if (origin) return origin.state === this.state && origin.face !== this ? this.show(origin.raw) : value
    // A guest is shown as it is.
    if (!isContainer(value)) return value
    const { tree } = this.state
    const node = parent ? tree.child(value, parent, key) : tree.node(value)
    const { proxy } = node.assigned ? new AssignedTraps(this, node) : new Traps(this, node)
    this.proxies ??= new WeakMap()
    this.proxies.set(value, proxy)
    if (node.assigned) {
      node.shownBy ??= []
      node.shownBy.push(this)
    }
    return proxy
  }

  /** A copy took the place of an object of the application. */
  replaced(raw: Container, copy: Container): void {
    const proxy = this.shown(raw) as object
    this.proxies?.delete(raw)
    this.proxies?.set(copy, proxy)
  }

  /** The proxy of a container that was read before. */
  shown(raw: object): object | undefined {
    return this.proxies?.get(raw)
  }
}

/** The traps of a container, and what is known of its proxy. */
class Traps<A extends object> implements ProxyHandler<Container>, ProxyInfo {
  readonly proxy: object

  constructor(
    readonly face: DocumentView<A>,
    protected readonly node: Node,
    target = node.raw,
  ) {
    this.proxy = new Proxy(target, this)
    registerProxy(this.proxy, this)
  }

  get raw(): Container {
    return this.node.raw
  }

  get state(): State<A> {
    return this.face.state
  }

  get(_: Container, key: string | symbol): unknown {
    // `session[name][other] = value` with names from outside must not reach Object.prototype.
    if (key === '__proto__') return undefined
    const { raw } = this.node
    const value = (raw as Dict)[key as string]
    if (isObject(value)) return this.face.shown(value) ?? this.inner(raw, key, value)
    if (typeof value === 'function') return (isList(raw) && LIST_METHODS.get(key)) || value
    if (value === undefined && key === 'toJSON') return this.json()
    return value
  }

  set(_: Container, key: string | symbol, value: unknown, receiver: object): boolean {
    if (receiver !== this.proxy) {
      // The receiver inherits from session data: the property becomes its own.
      return Reflect.defineProperty(receiver, key, { value, writable: true, enumerable: true, configurable: true })
    }
    // Symbols are local to the process: JSON does not know them.
    if (typeof key === 'symbol') return Reflect.set(this.raw, key, value)
    return this.write(key, value)
  }

  deleteProperty(_: Container, key: string | symbol): boolean {
    const { raw } = this
    if (typeof key === 'symbol' || (isList(raw) && key === 'length')) return Reflect.deleteProperty(raw, key)
    return this.keep([key], () => {
      this.check(key)
      if (hasOwn(raw, key)) remove(this.state, this.node, key, this.face.author)
    })
  }

  defineProperty(_: Container, key: string | symbol, descriptor: PropertyDescriptor): boolean {
    const { raw } = this
    if (typeof key === 'symbol') return Reflect.defineProperty(raw, key, descriptor)
    const { get, set, enumerable, configurable, writable, value } = descriptor
    const refuse = (what: string) => notStorable([...this.state.tree.pathOf(this.node), key], what)
    if (get ?? set) throw refuse('JSON has no accessors; assign the value')
    const isLength = isList(raw) && key === 'length'
    if ((enumerable === false || configurable === false || writable === false) && !isLength) {
      throw refuse('JSON has no hidden, fixed or read-only properties; assign the value')
    }
    if ('value' in descriptor || !hasOwn(raw, key)) return this.write(key, value)
    return true
  }

  getOwnPropertyDescriptor(_: Container, key: string | symbol): PropertyDescriptor | undefined {
    const { raw } = this
    const descriptor = Reflect.getOwnPropertyDescriptor(raw, key)
    if (descriptor && isObject(descriptor.value)) descriptor.value = this.inner(raw, key, descriptor.value)
    return descriptor
  }

  setPrototypeOf(target: Container, prototype: object | null): boolean {
    if (prototype === Object.getPrototypeOf(target)) return true
    throw this.refuse('JSON has no prototypes; keep the data and the class apart')
  }

  preventExtensions(): boolean {
    throw this.refuse('session data cannot be frozen or sealed; freeze a snapshot of it')
  }

  /** Names that cannot be written here. */
  protected check(key: string): void {
    if (key === '__proto__') throw reservedKey([key])
  }

  /** `JSON.stringify`, which names the key, gets the container itself, at native speed; everybody else a copy. */
  protected json(): (key?: string) => unknown {
    return (key) => (key === undefined ? snapshotOf(this.state.guests, this.raw) : this.raw)
  }

  protected write(key: string, value: unknown): boolean {
    return this.keep([key], () => {
      this.check(key)
      assign(this.state, this.node, key, value, this.face.author)
    })
  }

  /** Does not throw: where a plain object would take what session data cannot hold, the handler goes on, and the error is told. */
  private keep(at: Path, write: () => void): boolean {
    try {
      write()
    } catch (error) {
      this.state.refuse(error, this.node, at, this.face.author)
    }
    return true
  }

  private inner(raw: Container, key: string | symbol, value: object): unknown {
    if (typeof key === 'symbol' || !hasOwn(raw, key)) return value
    return this.face.show(value, this.node, key)
  }

  private refuse(what: string): Error {
    return notStorable(this.state.tree.pathOf(this.node), what)
  }
}

/**
 * The traps of an object of the application, until a copy takes its place. The proxy's target stands in for both: it could otherwise not
 * have another container behind it some day, and nothing but the very properties of an object that its owner freezes.
 */
class AssignedTraps<A extends object> extends Traps<A> {
  constructor(face: DocumentView<A>, node: Node) {
    const target: Container = isList(node.raw) ? [] : {}
    // util.inspect looks at a proxy's target.
    Object.defineProperty(target, INSPECT, { value: () => node.raw, configurable: true })
    super(face, node, target)
  }

  has(_: Container, key: string | symbol): boolean {
    return key in this.raw
  }

  ownKeys(): (string | symbol)[] {
    return Reflect.ownKeys(this.raw)
  }

  override getOwnPropertyDescriptor(target: Container, key: string | symbol): PropertyDescriptor | undefined {
    const descriptor = super.getOwnPropertyDescriptor(target, key)
    if (!descriptor || (isList(target) && key === 'length')) return descriptor && { ...descriptor, writable: true }
    return { ...descriptor, configurable: true }
  }
}

/** The root also shows what the host answers for. */
class RootTraps<A extends object> extends Traps<A> {
  override get(target: Dict, key: string | symbol): unknown {
    // What is in the data cannot be the host's.
    if (typeof key === 'string' && !hasOwn(target, key) && this.isHosts(key)) return this.hosted(key)
    return super.get(target, key)
  }

  override set(target: Dict, key: string | symbol, value: unknown, receiver: object): boolean {
    const { members } = this.state.options
    if (typeof key === 'string' && receiver === this.proxy && members?.has(key)) {
      const answer = members.set?.(key, value, this.face.author)
      if (answer === 'ignored' || answer === 'readonly') return answer === 'ignored'
    }
    return super.set(target, key, value, receiver)
  }

  override deleteProperty(target: Dict, key: string | symbol): boolean {
    const { members } = this.state.options
    if (typeof key === 'string' && members?.set?.(key, undefined, this.face.author) === 'readonly') return false
    return super.deleteProperty(target, key)
  }

  override getOwnPropertyDescriptor(target: Dict, key: string | symbol): PropertyDescriptor | undefined {
    if (!hasOwn(this.fixed, key)) return super.getOwnPropertyDescriptor(target, key)
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

  protected override json(): (key?: string) => unknown {
    const { fixed, raw } = this
    return (key) => ({ ...fixed, ...(key === undefined ? snapshotOf(this.state.guests, raw) : raw) })
  }

  private get fixed(): Record<string, unknown> {
    return this.state.options.fixed ?? NOTHING
  }

  private isHosts(key: string): boolean {
    return hasOwn(this.fixed, key) || (this.state.options.members?.has(key) ?? false)
  }

  private hosted(key: string): unknown {
    const { members } = this.state.options
    return members?.has(key) ? members.get(key, this.face.author) : this.fixed[key]
  }
}

const NOTHING = {}
