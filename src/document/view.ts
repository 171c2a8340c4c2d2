import { ARRAY_METHODS } from './array-methods.js'
import { type DocumentState, INSPECT } from './document-state.js'
import { notStorable, reservedKey } from './errors.js'
import { type Container, type Dict, isContainer, isList, isObject, type Path } from './json.js'
import { snapshotOf } from './non-json.js'
import { type ProxyInfo, proxyInfoOf, registerProxy } from './proxy-registry.js'
import type { Node } from './tree.js'
import { assign, remove } from './write.js'

/**
 * One author's view of the tree: the root proxy, and a proxy for each container that is read through it. The proxies stand for the live containers
 * themselves, so none is ever revoked. A container has one proxy in each view, found again by the container.
 */
export class DocumentView {
  readonly root: object
  private proxies: WeakMap<object, object> | undefined

  constructor(
    readonly state: DocumentState,
    readonly author: object,
  ) {
    this.root = new RootTraps(this, state.tree.root).proxy
  }

  /** A value of the tree as the application sees it: a container as its proxy, anything else itself. */
  toProxy(value: unknown, parent?: Node, key = ''): unknown {
    if (!isObject(value)) return value
    const existing = this.existingProxy(value)
    if (existing) return existing
    // Application objects may hold proxies.
    const info = proxyInfoOf(value)
    if (info) return info.state === this.state && info.view !== this ? this.toProxy(info.raw) : value
    // A Date or the like.
    if (!isContainer(value)) return value
    const { tree } = this.state
    const node = parent ? tree.childNode(value, parent, key) : tree.nodeOf(value)
    const { proxy } = node.uncopied ? new UncopiedTraps(this, node) : new ContainerTraps(this, node)
    this.proxies ??= new WeakMap()
    this.proxies.set(value, proxy)
    if (node.uncopied) {
      node.views ??= []
      node.views.push(this)
    }
    return proxy
  }

  /** A copy replaced an application object: the object's proxy stands for the copy from now on. */
  moveProxy(raw: Container, copy: Container): void {
    const proxy = this.existingProxy(raw) as object
    this.proxies?.delete(raw)
    this.proxies?.set(copy, proxy)
  }

  /** The proxy of a container that was read before. */
  existingProxy(raw: object): object | undefined {
    return this.proxies?.get(raw)
  }
}

/** The traps of a container's proxy, and the {@link ProxyInfo} of it. */
class ContainerTraps implements ProxyHandler<Container>, ProxyInfo {
  readonly proxy: object

  constructor(
    readonly view: DocumentView,
    protected readonly node: Node,
    target = node.raw,
  ) {
    this.proxy = new Proxy(target, this)
    registerProxy(this.proxy, this)
  }

  get raw(): Container {
    return this.node.raw
  }

  get state(): DocumentState {
    return this.view.state
  }

  get(_: Container, key: string | symbol): unknown {
    // `session[name][other] = value` with names from outside must not reach Object.prototype.
    if (key === '__proto__') return undefined
    const { raw } = this.node
    const value = (raw as Dict)[key as string]
    if (isObject(value)) return this.view.existingProxy(value) ?? this.childProxy(raw, key, value)
    if (typeof value === 'function') return (isList(raw) && ARRAY_METHODS.get(key)) || value
    if (value === undefined && key === 'toJSON') return this.toJsonMethod()
    return value
  }

  set(_: Container, key: string | symbol, value: unknown, receiver: object): boolean {
    if (receiver !== this.proxy) {
      // The receiver inherits from session data: the property becomes its own.
      return Reflect.defineProperty(receiver, key, { value, writable: true, enumerable: true, configurable: true })
    }
    // JSON has no symbols: they stay in this process.
    if (typeof key === 'symbol') return Reflect.set(this.raw, key, value)
    return this.write(key, value)
  }

  deleteProperty(_: Container, key: string | symbol): boolean {
    const { raw } = this
    if (typeof key === 'symbol' || (isList(raw) && key === 'length')) return Reflect.deleteProperty(raw, key)
    return this.tryWrite([key], () => {
      this.checkKey(key)
      if (Object.hasOwn(raw, key)) remove(this.state, this.node, key, this.view.author)
    })
  }

  defineProperty(_: Container, key: string | symbol, descriptor: PropertyDescriptor): boolean {
    const { raw } = this
    if (typeof key === 'symbol') return Reflect.defineProperty(raw, key, descriptor)
    const { get, set, enumerable, configurable, writable, value } = descriptor
    const notAllowed = (reason: string) => notStorable([...this.state.tree.pathOf(this.node), key], reason)
    if (get ?? set) throw notAllowed('JSON has no accessors; assign the value')
    const isLength = isList(raw) && key === 'length'
    if ((enumerable === false || configurable === false || writable === false) && !isLength) {
      throw notAllowed('JSON has no hidden, fixed or read-only properties; assign the value')
    }
    if ('value' in descriptor || !Object.hasOwn(raw, key)) return this.write(key, value)
    return true
  }

  getOwnPropertyDescriptor(_: Container, key: string | symbol): PropertyDescriptor | undefined {
    const { raw } = this
    const descriptor = Reflect.getOwnPropertyDescriptor(raw, key)
    if (descriptor && isObject(descriptor.value)) descriptor.value = this.childProxy(raw, key, descriptor.value)
    return descriptor
  }

  setPrototypeOf(target: Container, prototype: object | null): boolean {
    if (prototype === Object.getPrototypeOf(target)) return true
    throw this.notAllowed('JSON has no prototypes; keep the data and the class apart')
  }

  preventExtensions(): boolean {
    throw this.notAllowed('session data cannot be frozen or sealed; freeze a snapshot of it')
  }

  /** @throws NotJsonError `RESERVED_KEY` for a name that cannot be written here */
  protected checkKey(key: string): void {
    if (key === '__proto__') throw reservedKey([key])
  }

  /** `JSON.stringify` passes the key: it gets the container itself, which it writes at native speed. Any other caller gets a copy. */
  protected toJsonMethod(): (key?: string) => unknown {
    return (key) => (key === undefined ? snapshotOf(this.state.nonJson, this.raw) : this.raw)
  }

  protected write(key: string, value: unknown): boolean {
    return this.tryWrite([key], () => {
      this.checkKey(key)
      assign(this.state, this.node, key, value, this.view.author)
    })
  }

  /** Reports what a write throws: a plain object would take the value, so the handler's code goes on as with a plain object. */
  private tryWrite(at: Path, write: () => void): boolean {
    const { state, view } = this
    const { writeCount } = state
    try {
      write()
      if (state.writeCount === writeCount) state.options.onUnchanged?.(view.author)
    } catch (error) {
      state.reportRefusal(error, this.node, at, view.author)
    }
    return true
  }

  private childProxy(raw: Container, key: string | symbol, value: object): unknown {
    if (typeof key === 'symbol' || !Object.hasOwn(raw, key)) return value
    return this.view.toProxy(value, this.node, key)
  }

  private notAllowed(reason: string): Error {
    return notStorable(this.state.tree.pathOf(this.node), reason)
  }
}

/**
 * The traps of an application object, which a copy replaces later. The proxy's target is an empty container of its own, because a proxy has to be
 * true to its target: to the object, which its owner may freeze, or to the copy. It could not be true to both.
 */
class UncopiedTraps extends ContainerTraps {
  constructor(view: DocumentView, node: Node) {
    const target: Container = isList(node.raw) ? [] : {}
    // util.inspect looks at a proxy's target.
    Object.defineProperty(target, INSPECT, { value: () => node.raw, configurable: true })
    super(view, node, target)
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

/** The traps of the root, which also has the host's members and the fixed properties. */
class RootTraps extends ContainerTraps {
  override get(target: Dict, key: string | symbol): unknown {
    // No name of the host is ever in the data.
    if (typeof key === 'string' && !Object.hasOwn(target, key) && this.isHostKey(key)) return this.hostValue(key)
    return super.get(target, key)
  }

  override set(target: Dict, key: string | symbol, value: unknown, receiver: object): boolean {
    const { members } = this.state.options
    if (typeof key === 'string' && receiver === this.proxy && members?.has(key)) {
      const answer = members.set?.(key, value)
      if (answer === 'ignored' || answer === 'readonly') return answer === 'ignored'
    }
    return super.set(target, key, value, receiver)
  }

  override deleteProperty(target: Dict, key: string | symbol): boolean {
    const { members } = this.state.options
    if (typeof key === 'string' && members?.set?.(key, undefined) === 'readonly') return false
    return super.deleteProperty(target, key)
  }

  override getOwnPropertyDescriptor(target: Dict, key: string | symbol): PropertyDescriptor | undefined {
    if (!Object.hasOwn(this.fixed, key)) return super.getOwnPropertyDescriptor(target, key)
    return { value: this.hostValue(key as string), writable: true, enumerable: true, configurable: true }
  }

  has(target: Dict, key: string | symbol): boolean {
    return (typeof key === 'string' && this.isHostKey(key)) || key in target
  }

  ownKeys(target: Dict): (string | symbol)[] {
    return [...Object.keys(this.fixed), ...Reflect.ownKeys(target)]
  }

  protected override checkKey(key: string): void {
    if (this.state.isReserved(key)) throw reservedKey([key])
  }

  protected override toJsonMethod(): (key?: string) => unknown {
    const { fixed, raw } = this
    return (key) => ({ ...fixed, ...(key === undefined ? snapshotOf(this.state.nonJson, raw) : raw) })
  }

  private get fixed(): Record<string, unknown> {
    return this.state.options.fixed ?? NO_PROPERTIES
  }

  private isHostKey(key: string): boolean {
    return Object.hasOwn(this.fixed, key) || (this.state.options.members?.has(key) ?? false)
  }

  private hostValue(key: string): unknown {
    const { members } = this.state.options
    return members?.has(key) ? members.get(key, this.view.author) : this.fixed[key]
  }
}

const NO_PROPERTIES = {}
