import { hasClass } from './guests.js'
import { ABSENT, type Box, type Dict, isBox, isList, isObject, type Key, type List, own, type Path } from './json.js'
import type { Node } from './node.js'
import { originOf } from './origin.js'
import { CYCLE, MAX_DEPTH, plain, scalar, TOO_DEEP } from './plain.js'
import { Refusal, reservedKey, tooSparse } from './problem.js'
import type { State } from './state.js'
import { heightOf } from './tree.js'

/** Something that was put into an object of the application after it had been assigned, and cannot be kept. */
interface Cut {
  error: unknown
  path: Path
}

/**
 * Takes objects of the application into the tree: makes copies of them, which take their places. Proxies of this tree become what they
 * stand for, Dates and the like what JSON makes of them. What cannot be stored is left out: of that, whatever was put in as a whole after
 * the object had been assigned, so that no part of it stays.
 */
export class Adoption<A extends object> {
  /** What could not be kept at the place that was taken in last. */
  cuts: Cut[] = []
  readonly copies = new Map<object, Box>()
  private path: Path = []
  private level = 0
  private holder!: Node
  private readonly open = new Set<object>()
  private copied: [source: Box, copy: Box, holder: Box][] = []
  private moved: [child: Box, holder: Box, key: string][] = []
  private aliased: Box[] = []

  constructor(private readonly state: State<A>) {}

  /**
   * What the tree holds from now on in place of `value`; {@link ABSENT} for what JSON leaves out.
   *
   * @param holder the container that holds it at `key`
   * @throws what says why it cannot be stored; then nothing has changed
   */
  take(value: unknown, holder: Node, key: Key): unknown {
    this.holder = holder
    this.level = this.state.tree.depthOf(holder)
    this.path = [key]
    this.cuts = []
    this.copied = []
    this.moved = []
    this.aliased = []
    const taken = this.value(value, holder.raw)
    this.commit()
    return taken
  }

  private commit(): void {
    const { state, copied } = this
    const { tree, journal, sources } = state
    for (const [source, copy, holder] of copied) {
      const node = tree.find(source)
      if (node) {
        tree.replace(node, copy)
        journal.replace(source, copy)
      } else tree.held(copy, holder)
    }
    for (const alias of this.aliased) tree.share(tree.node(alias))
    for (const [child, holder, key] of this.moved) state.link(tree.node(child), tree.node(holder), key)
    const author = tree.assigned.get(copied[0]?.[0] as object)?.author as A | undefined
    if (copied.length > 0) sources.watch(author, copied)
  }

  private value(value: unknown, holder: Box): unknown {
    if (!isObject(value)) return scalar(value, this.path)
    const origin = originOf(value)
    if (origin && origin.state !== this.state) return plain(value, this.path)
    const raw = origin?.raw ?? value
    if (origin && !this.state.tree.find(raw)?.assigned) return this.move(raw as Box, holder)
    return isBox(raw) ? this.box(raw, holder) : this.leaf(raw)
  }

  private leaf(value: object): unknown {
    const path = [...this.path]
    if (hasClass(value)) this.state.options.onLossy?.([...this.state.tree.pathOf(this.holder), ...path], value)
    return this.state.guests.leaf(value, this.path, (error) => {
      this.path.length = path.length
      this.cuts.push({ error, path })
    })
  }

  private move(raw: Box, holder: Box): Box {
    if (this.state.tree.isWithin(this.holder, raw)) throw new Refusal(this.path, CYCLE)
    const room = MAX_DEPTH + 1 - this.level - this.path.length
    if (heightOf(raw, room + 1) > room) throw new Refusal(this.path, TOO_DEEP)
    this.moved.push([raw, holder, String(this.path.at(-1))])
    return raw
  }

  private box(source: Box, holder: Box): unknown {
    const { path, open } = this
    if (open.has(source)) throw new Refusal(path, CYCLE)
    const known = this.copies.get(source)
    if (known) {
      if (this.state.tree.isWithin(this.holder, known)) throw new Refusal(path, CYCLE)
      this.aliased.push(known)
      this.moved.push([known, holder, String(path.at(-1))])
      return known
    }
    if (this.level + path.length > MAX_DEPTH) throw new Refusal(path, TOO_DEEP)
    if (typeof (source as Dict).toJSON === 'function') return plain(source, path, open)
    const depth = path.length
    const marks = [this.copied.length, this.moved.length, this.aliased.length] as const
    open.add(source)
    try {
      const copy: Box = isList(source) ? [] : {}
      this.copied.push([source, copy, holder])
      if (isList(source)) this.fillList(source, copy as List)
      else this.fillDict(source, copy as Dict)
      this.copies.set(source, copy)
      return copy
    } catch (error) {
      for (const [part] of this.copied.splice(marks[0])) this.copies.delete(part)
      this.moved.length = marks[1]
      this.aliased.length = marks[2]
      path.length = depth
      throw error
    } finally {
      open.delete(source)
    }
  }

  private fillList(source: List, copy: List): void {
    let holes = 0
    let dense = 0
    for (let index = 0; index < source.length; index++) {
      if (!own(source, index)) {
        if (++holes === 1) dense = copy.length
        if (!this.state.fits(holes)) {
          this.cuts.push({ error: tooSparse(this.path), path: [...this.path] })
          copy.length = dense
          return
        }
      }
      const value = this.part(source, index, copy)
      if (value !== LEFT_OUT) copy.push(value === ABSENT ? null : value)
    }
    this.state.holes += holes
  }

  private fillDict(source: Dict, copy: Dict): void {
    for (const key of Object.keys(source)) {
      const value = this.part(source, key, copy)
      if (value !== ABSENT && value !== LEFT_OUT) copy[key] = value
    }
  }

  /** @returns {@link LEFT_OUT} for what cannot be stored, where that was put in after `source` had been assigned */
  private part(source: Box, key: Key, copy: Box): unknown {
    const { path } = this
    const depth = path.length
    path.push(key)
    try {
      if (key === '__proto__') throw reservedKey(path)
      const value = this.value((source as Record<Key, unknown>)[key], copy)
      path.length = depth
      return value
    } catch (error) {
      const at = [...path]
      path.length = depth
      if (!this.state.guests.seen.has(source)) throw error
      this.cuts.push({ error, path: at })
      return LEFT_OUT
    }
  }
}

const LEFT_OUT = Symbol('left out')
