import { NotJsonError, reservedKey, toNotStorable, tooSparse } from './errors.js'
import { type Container, type Dict, isContainer, isList, isObject, type Path } from './json.js'
import type { Node } from './node.js'
import { proxyInfo } from './proxy-registry.js'
import type { State } from './state.js'
import { CYCLE, MAX_DEPTH, scalar, TOO_DEEP, toJson } from './to-json.js'
import { heightOf } from './tree.js'

/**
 * Looks at the values of one write before it is made. Objects of the application are not copied: the tree holds them as they are until
 * settling, so that whoever has a reference to one sees and changes the same thing. Nothing of the state changes before {@link commit}.
 */
export class Admission<A extends object> {
  private readonly path: Path = []
  private readonly above = new Set<object>()
  private readonly seen = new Set<object>()
  private readonly images: [guest: object, image: unknown][] = []
  private readonly assigned: object[] = []
  private loose = false
  private depth: number | undefined

  constructor(
    private readonly state: State<A>,
    private readonly holder: Node,
    private readonly author: A | undefined,
  ) {}

  /**
   * The value as the tree will hold it at `key`.
   *
   * @throws SharedSessionError for what cannot be stored: `NOT_STORABLE`, `RESERVED_KEY`, `TOO_LARGE`, naming the path
   */
  take(value: unknown, key: string | number): unknown {
    if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value
    this.path.length = 0
    this.path.push(key)
    try {
      return isObject(value) ? this.object(value) : this.scalar(value)
    } catch (error) {
      throw toNotStorable(error, this.state.tree.pathOf(this.holder), this.path)
    }
  }

  /** The values are in place. @param key of an object: where they are */
  commit(key?: string): void {
    const { tree, guests } = this.state
    const by = { author: this.author, write: this.state.writes + 1 }
    for (const raw of this.assigned) tree.assigned.set(raw, by)
    for (const raw of this.seen) guests.seen.add(raw)
    for (const [guest, image] of this.images) guests.images.set(guest, image)
    if ((this.loose || this.assigned.length > 0) && !this.holder.assigned) guests.note(this.holder.raw, key)
  }

  private scalar(value: unknown): unknown {
    const image = scalar(value, this.path)
    if (image === value || value === 0) return image
    // What JSON leaves out or writes as null stays until settling: `session.x = undefined` is readable as such.
    this.loose = true
    return value
  }

  private object(value: object): unknown {
    const { tree } = this.state
    const origin = proxyInfo(value)
    if (origin && origin.state !== this.state) return toJson(value, this.path, this.above)
    this.look(value)
    if (origin) {
      // An object of the application that holds it keeps the proxy: what is behind it is not the application's.
      if (this.holder.assigned) return value
      if (tree.find(origin.raw)?.assigned) this.assigned.push(origin.raw)
      return origin.raw
    }
    this.assigned.push(value)
    return value
  }

  private look(value: object): void {
    const { path } = this
    const origin = proxyInfo(value)
    if (origin?.state === this.state) {
      this.lookAtOwn(origin.raw)
      return
    }
    if (this.above.has(value)) throw new NotJsonError(path, CYCLE)
    if (this.level() > MAX_DEPTH) throw new NotJsonError(path, TOO_DEEP)
    if (this.seen.has(value)) return
    if (origin || !isContainer(value) || typeof (value as Dict).toJSON === 'function') {
      const image = toJson(value, path, this.above)
      if (!isContainer(value)) this.images.push([value, image])
      return
    }
    this.above.add(value)
    this.seen.add(value)
    if (isList(value)) {
      if (value.length > this.state.mostItems) throw tooSparse(path)
      for (let index = 0; index < value.length; index++) this.part(value, index)
    } else {
      for (const key of Object.keys(value)) {
        if (key === '__proto__') throw reservedKey([...path, key])
        this.part(value, key)
      }
    }
    this.above.delete(value)
  }

  private part(holder: Container, key: string | number): void {
    this.path.push(key)
    const value = (holder as Record<string | number, unknown>)[key]
    if (isObject(value)) this.look(value)
    else scalar(value, this.path)
    this.path.pop()
  }

  private lookAtOwn(raw: Container): void {
    const { path } = this
    if (this.state.tree.isWithin(this.holder, raw) || this.above.has(raw)) throw new NotJsonError(path, CYCLE)
    const room = MAX_DEPTH + 1 - this.level()
    if (heightOf(raw, room + 1) > room) throw new NotJsonError(path, TOO_DEEP)
  }

  private level(): number {
    this.depth ??= this.state.tree.depthOf(this.holder)
    return this.depth + this.path.length
  }
}
