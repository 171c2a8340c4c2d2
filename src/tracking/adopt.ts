import { type Box, type Dict, isBox, isList, isObject, keysOf, type List, type Path } from './json.js'
import type { Node } from './node.js'
import { originOf } from './origin.js'
import { CYCLE, MAX_DEPTH, plain, scalar, TOO_DEEP } from './plain.js'
import { explain, Refusal } from './problem.js'
import type { Watch } from './sources.js'
import type { State } from './state.js'
import { heightOf } from './tree.js'

interface Copied {
  source: object
  copy: Box
  holder: Box
  watchable: boolean
}

/**
 * Takes values of one write into the tree: raw containers are copied, nodes of this tree are moved, proxies of other trees are
 * copied, guests stay as they are. Nothing of the state changes before {@link commit}, so that a refusal leaves it untouched.
 */
export class Adoption<A extends object> {
  private readonly path: Path = []
  private readonly open: object[] = []
  private readonly copies = new Map<object, Box>()
  private readonly copied: Copied[] = []
  private readonly moved: [child: Box, holder: Box, key: string][] = []
  private readonly aliased = new Set<Box>()
  private readonly loose = new Set<Box>()
  private readonly guests = new Map<object, unknown>()
  private depth: number | undefined

  /** @param watch the watch that the raw objects join; a new one by default, none if `null` */
  constructor(
    private readonly state: State<A>,
    private readonly holder: Node,
    private readonly author: A | undefined,
    private readonly watch?: Watch<A> | null,
  ) {}

  /**
   * The value as the tree will hold it at `key`.
   *
   * @throws SharedSessionError `NOT_STORABLE`, naming the path of what cannot be stored
   */
  take(value: unknown, key: string | number): unknown {
    if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value
    this.path.length = 0
    this.path.push(key)
    try {
      return this.value(value, this.holder.raw)
    } catch (error) {
      throw explain(error, this.state.tree.pathOf(this.holder), this.path)
    }
  }

  /** The values are in place: from now on the state knows them. */
  commit(): void {
    const { tree, sources, guests } = this.state
    for (const { copy, holder } of this.copied) tree.held(copy, holder)
    for (const alias of this.aliased) tree.share(tree.node(alias))
    for (const [child, holder, key] of this.moved) this.state.link(tree.node(child), tree.node(holder), key)
    for (const holder of this.loose) guests.note(holder)
    for (const [guest, image] of this.guests) guests.welcome(guest, image, this.author)
    const watch = this.watch === undefined && this.copied.some((one) => one.watchable) ? sources.start(this.author) : this.watch
    for (const { source, copy, watchable } of this.copied) {
      if (watch === null) continue
      sources.remember(source, copy)
      if (watch && watchable) sources.add(watch, source, copy)
    }
  }

  private value(value: unknown, holder: Box): unknown {
    if (!isObject(value)) return this.scalar(value, holder)
    const origin = originOf(value)
    if (origin?.state === this.state) return this.move(origin.raw, holder)
    if (this.open.includes(value)) throw new Refusal(this.path, CYCLE)
    const known = this.copies.get(value) ?? this.state.sources.copyOf(value)
    if (known) return this.alias(value, known, holder)
    if (this.level() > MAX_DEPTH) throw new Refusal(this.path, TOO_DEEP)
    // A proxy of another tree: that tree watches its data itself.
    if (origin) return plain(value, this.path)
    return isBox(value) ? this.copy(value, holder) : this.guest(value, holder)
  }

  private scalar(value: unknown, holder: Box): unknown {
    const image = scalar(value, this.path)
    if (image === value || value === 0) return image
    // What JSON leaves out or writes as null stays until settling: `session.x = undefined` is readable as such.
    this.loose.add(holder)
    return value
  }

  private move(raw: Box, holder: Box): Box {
    const { tree } = this.state
    if (tree.isWithin(this.holder, raw)) throw new Refusal(this.path, CYCLE)
    if (holder !== this.holder.raw) {
      const room = MAX_DEPTH - this.level()
      if (heightOf(raw, room + 1) > room) throw new Refusal(this.path, TOO_DEEP)
      this.moved.push([raw, holder, String(this.path.at(-1))])
    }
    return raw
  }

  /** A raw object that was taken in before, in this write or since the last settling. */
  private alias(source: object, known: Box, holder: Box): Box {
    if (!this.copies.has(source)) {
      // It may have been changed meanwhile; the watch will fold that in, if it can be stored.
      plain(source, this.path)
      if (this.state.tree.isWithin(this.holder, known)) throw new Refusal(this.path, CYCLE)
    }
    this.aliased.add(known)
    if (holder !== this.holder.raw) this.moved.push([known, holder, String(this.path.at(-1))])
    return known
  }

  private guest(value: object, holder: Box): object {
    this.guests.set(value, plain(value, this.path))
    this.loose.add(holder)
    return value
  }

  private copy(source: Box, holder: Box): unknown {
    const { toJSON } = source as { toJSON?: unknown }
    const content = typeof toJSON === 'function' ? toJSON.call(source, String(this.path.at(-1))) : source
    this.open.push(source)
    if (content !== source) {
      const image = this.value(content, holder)
      this.open.pop()
      return image
    }
    const copy: Box = isList(source) ? [] : {}
    const copied: Copied = { source, copy, holder, watchable: !Object.isFrozen(source) }
    this.copied.push(copied)
    if (isList(source)) this.copyList(source, copy as List)
    else this.copyDict(source, copy as Dict, copied)
    this.open.pop()
    this.copies.set(source, copy)
    return copy
  }

  private copyList(source: List, copy: List): void {
    for (let index = 0; index < source.length; index++) {
      this.path.push(index)
      copy.push(this.value(source[index], copy))
      this.path.pop()
    }
  }

  private copyDict(source: Dict, copy: Dict, copied: Copied): void {
    for (const key of keysOf(source)) {
      this.path.push(key)
      const value = source[key]
      // A getter may give another object each time, which would look like a change each time.
      if (isObject(value) && Object.getOwnPropertyDescriptor(source, key)?.get) copied.watchable = false
      copy[key] = this.value(value, copy)
      this.path.pop()
    }
  }

  private level(): number {
    this.depth ??= this.state.tree.depthOf(this.holder)
    return this.depth + this.path.length
  }
}
