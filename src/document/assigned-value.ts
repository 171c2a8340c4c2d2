import type { DocumentState } from './document-state.js'
import { NotJsonError, reservedKey, toNotStorable, tooSparse } from './errors.js'
import { type Container, type Dict, isContainer, isList, isObject, type Path } from './json.js'
import type { Node } from './node.js'
import { proxyInfo } from './proxy-registry.js'
import { CYCLE, MAX_DEPTH, scalar, TOO_DEEP, toJson } from './to-json.js'
import { heightOf } from './tree.js'

/**
 * Looks at the values of one write before it is made. Objects of the application are not copied: the tree holds them as they are until
 * settling, so that whoever has a reference to one sees and changes the same thing. Nothing of the state changes before {@link commit}.
 */
export class AssignedValues<A extends object> {
  private readonly path: Path = []
  private readonly ancestors = new Set<object>()
  private readonly checked = new Set<object>()
  private readonly jsonOfOthers: [guest: object, image: unknown][] = []
  private readonly assigned: object[] = []
  private hasNonJsonScalar = false
  private holderDepth: number | undefined

  constructor(
    private readonly state: DocumentState<A>,
    private readonly holder: Node,
    private readonly author: A | undefined,
  ) {}

  /**
   * The value as the tree will hold it at `key`.
   *
   * @throws SharedSessionError for what cannot be stored: `NOT_STORABLE`, `RESERVED_KEY`, `TOO_LARGE`, naming the path
   */
  check(value: unknown, key: string | number): unknown {
    if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value
    this.path.length = 0
    this.path.push(key)
    try {
      return isObject(value) ? this.toTreeValue(value) : this.checkScalar(value)
    } catch (error) {
      throw toNotStorable(error, this.state.tree.pathOf(this.holder), this.path)
    }
  }

  /** The values are in place. @param key of an object: where they are */
  commit(key?: string): void {
    const { tree, nonJson: guests } = this.state
    const by = { author: this.author, write: this.state.writeCount + 1 }
    for (const raw of this.assigned) tree.assignments.set(raw, by)
    for (const raw of this.checked) guests.checked.add(raw)
    for (const [guest, image] of this.jsonOfOthers) guests.jsonWhenAssigned.set(guest, image)
    if ((this.hasNonJsonScalar || this.assigned.length > 0) && !this.holder.uncopied) guests.add(this.holder.raw, key)
  }

  private checkScalar(value: unknown): unknown {
    const image = scalar(value, this.path)
    if (image === value || value === 0) return image
    // What JSON leaves out or writes as null stays until settling: `session.x = undefined` is readable as such.
    this.hasNonJsonScalar = true
    return value
  }

  private toTreeValue(value: object): unknown {
    const { tree } = this.state
    const origin = proxyInfo(value)
    if (origin && origin.state !== this.state) return toJson(value, this.path, this.ancestors)
    this.checkObject(value)
    if (origin) {
      // An object of the application that holds it keeps the proxy: what is behind it is not the application's.
      if (this.holder.uncopied) return value
      if (tree.find(origin.raw)?.uncopied) this.assigned.push(origin.raw)
      return origin.raw
    }
    this.assigned.push(value)
    return value
  }

  private checkObject(value: object): void {
    const { path } = this
    const origin = proxyInfo(value)
    if (origin?.state === this.state) {
      this.checkOwnContainer(origin.raw)
      return
    }
    if (this.ancestors.has(value)) throw new NotJsonError(path, CYCLE)
    if (this.currentDepth() > MAX_DEPTH) throw new NotJsonError(path, TOO_DEEP)
    if (this.checked.has(value)) return
    if (origin || !isContainer(value) || typeof (value as Dict).toJSON === 'function') {
      const image = toJson(value, path, this.ancestors)
      if (!isContainer(value)) this.jsonOfOthers.push([value, image])
      return
    }
    this.ancestors.add(value)
    this.checked.add(value)
    if (isList(value)) {
      if (value.length > this.state.maxItems) throw tooSparse(path)
      for (let index = 0; index < value.length; index++) this.checkPart(value, index)
    } else {
      for (const key of Object.keys(value)) {
        if (key === '__proto__') throw reservedKey([...path, key])
        this.checkPart(value, key)
      }
    }
    this.ancestors.delete(value)
  }

  private checkPart(holder: Container, key: string | number): void {
    this.path.push(key)
    const value = (holder as Record<string | number, unknown>)[key]
    if (isObject(value)) this.checkObject(value)
    else scalar(value, this.path)
    this.path.pop()
  }

  private checkOwnContainer(raw: Container): void {
    const { path } = this
    if (this.state.tree.isWithin(this.holder, raw) || this.ancestors.has(raw)) throw new NotJsonError(path, CYCLE)
    const room = MAX_DEPTH + 1 - this.currentDepth()
    if (heightOf(raw, room + 1) > room) throw new NotJsonError(path, TOO_DEEP)
  }

  private currentDepth(): number {
    this.holderDepth ??= this.state.tree.depthOf(this.holder)
    return this.holderDepth + this.path.length
  }
}
