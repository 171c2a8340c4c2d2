import { type Box, isList, isObject, type Key } from './json.js'
import { originOf } from './origin.js'
import { upsert } from './upsert.js'

/** A raw object that the application gave, and still may hold, with the copy that lives in the tree. */
export interface Source {
  ref: WeakRef<object>
  /** Keeps it alive until the next settling: the handler that assigned it may still be running. */
  held: object | undefined
  copy: Box
  /** What it held at the last look, by key. */
  seen: Map<Key, unknown>
  /** For an array: what its elements became in the tree, at the last look. */
  items: unknown[]
}

/** What came in with one assignment: watched together, let go together. */
export interface Watch<A> {
  author: A | undefined
  sources: Source[]
}

// The bounds on what one look at all watched objects can cost. While a handler may still run they are generous, because
// what goes over the edge is no longer watched; afterwards every event pays for the looking.
const STRONG = { watches: 64, slots: 65_536 }
const WEAK = { watches: 8, slots: 1_024 }

/**
 * The raw objects under watch. `const c = (session.cart ??= { items: [] })` yields the raw object, and what the handler does to it is
 * meant for the session: it is compared, level by level, with what was seen last. Held strongly until the next settling, then weakly.
 */
export class Sources<A> {
  private watches: Watch<A>[] = []
  private copies: WeakMap<object, Box> | undefined
  private former: WeakMap<object, Box> | undefined
  private tokens: WeakMap<object, object> | undefined

  get isEmpty(): boolean {
    return this.watches.length === 0
  }

  /** All watches; the list may grow and shrink while it is walked. */
  all(): readonly Watch<A>[] {
    return [...this.watches]
  }

  /** The copy of a raw object that was assigned since the last settling: to assign it again makes an alias. */
  copyOf(raw: object): Box | undefined {
    return this.copies?.get(raw)
  }

  /** The copy of a raw object, however old. */
  lastCopyOf(raw: object): Box | undefined {
    return this.copies?.get(raw) ?? this.former?.get(raw)
  }

  /** Remembers the copy of a raw object that is not watched. */
  remember(raw: object, copy: Box): void {
    this.copies ??= new WeakMap()
    this.copies.set(raw, copy)
    this.former ??= new WeakMap()
    this.former.set(raw, copy)
  }

  start(author: A | undefined): Watch<A> {
    const watch: Watch<A> = { author, sources: [] }
    this.watches.push(watch)
    return watch
  }

  add(watch: Watch<A>, raw: object, copy: Box): void {
    const items = isList(copy) ? copy.slice() : []
    watch.sources.push({ ref: new WeakRef(raw), held: raw, copy, seen: this.look(raw), items })
  }

  stop(watch: Watch<A>): void {
    this.watches = this.watches.filter((other) => other !== watch)
  }

  /** What a raw object holds now: scalars as they are, objects as tokens, which do not keep them alive. */
  look(raw: object): Map<Key, unknown> {
    const seen = new Map<Key, unknown>()
    if (isList(raw)) for (let index = 0; index < raw.length; index++) seen.set(index, this.token(raw[index]))
    else for (const [key, value] of Object.entries(raw)) if (key !== '__proto__') seen.set(key, this.token(value))
    return seen
  }

  /** Lets go of the oldest where too much is watched, and of what nobody holds any more. */
  trim(): void {
    this.keep(STRONG, Number.POSITIVE_INFINITY)
  }

  /** The handlers ended: from now on a raw object is watched only as long as somebody else holds it. */
  settle(): void {
    this.copies = undefined
    if (this.isEmpty) return
    for (const { sources } of this.watches) for (const source of sources) source.held = undefined
    this.keep(WEAK, WEAK.slots)
  }

  private keep(bounds: typeof STRONG, most: number): void {
    let slots = 0
    const kept: Watch<A>[] = []
    for (const watch of this.watches.toReversed()) {
      watch.sources = watch.sources.filter((source) => source.ref.deref() !== undefined)
      const size = watch.sources.reduce((sum, source) => sum + source.seen.size + 1, 0)
      slots += size
      const fits = kept.length < bounds.watches && (slots <= bounds.slots || kept.length === 0) && size <= most
      if (fits && size > 0) kept.push(watch)
    }
    this.watches = kept.reverse()
  }

  private token(value: unknown): unknown {
    if (!isObject(value)) return value
    this.tokens ??= new WeakMap()
    return upsert(this.tokens, originOf(value)?.raw ?? value, () => ({}))
  }
}
