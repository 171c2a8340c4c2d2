import { getOrInsert } from '../util/bounded-map.js'
import { type Container, isList, isObject, type Key } from './json.js'
import { proxyInfo } from './proxy-registry.js'

/** A raw object that the application gave, and still may hold, with the copy that lives in the tree. */
export interface RawObject {
  ref: WeakRef<object>
  copy: Container
  /** What it held at the last look, by key. */
  lastContent: Map<Key, unknown>
  /** For an array: what its elements became in the tree, at the last look. */
  lastItems: unknown[]
}

/** What came in with one assignment: watched together, let go together. */
export interface WatchGroup<A> {
  author: A | undefined
  objects: RawObject[]
}

/** The bounds on what one look at all watched objects can cost: every event pays for it. */
const LIMITS = { watches: 8, slots: 1_024 }

/**
 * The raw objects under watch. `const c = (session.cart ??= { items: [] })` yields the raw object, and what is done to it after the save is
 * meant for the session as well: it is compared, level by level, with what was seen last. Nothing here keeps it alive.
 */
export class RawObjects<A> {
  private groups: WatchGroup<A>[] = []
  private copies: WeakMap<object, Container> | undefined
  private tokens: WeakMap<object, object> | undefined

  get isEmpty(): boolean {
    return this.groups.length === 0
  }

  /** All watches; the list may grow and shrink while it is walked. */
  all(): readonly WatchGroup<A>[] {
    return [...this.groups]
  }

  /** The copy of a raw object, however old. */
  lastCopyOf(raw: object): Container | undefined {
    return this.copies?.get(raw)
  }

  /** The copies of raw objects are in the tree from now on. */
  watch(author: A | undefined, copied: readonly (readonly [raw: Container, copy: Container, ...unknown[]])[]): void {
    this.copies ??= new WeakMap()
    const again = copied.some(([raw]) => this.copies?.has(raw))
    for (const [raw, copy] of copied) this.copies.set(raw, copy)
    // An object that is assigned again and again is watched for its last place.
    if (again) this.unwatchFormerCopies()
    const watched = copied.filter(([raw, copy]) => isWatchable(raw, copy))
    const size = watched.reduce((sum, [, copy]) => sum + 1 + (isList(copy) ? copy : Object.keys(copy)).length, 0)
    if (watched.length === 0 || size > LIMITS.slots) return
    const sources = watched.map(([raw, copy]) => {
      return { ref: new WeakRef(raw), copy, lastContent: this.contentOf(raw), lastItems: isList(copy) ? copy.slice() : [] }
    })
    this.groups.push({ author, objects: sources })
  }

  private unwatchFormerCopies(): void {
    const isLast = ({ ref, copy }: RawObject): boolean => {
      const raw = ref.deref()
      return raw !== undefined && this.copies?.get(raw) === copy
    }
    for (const watch of this.groups) watch.objects = watch.objects.filter(isLast)
  }

  unwatch(watch: WatchGroup<A>): void {
    this.groups = this.groups.filter((other) => other !== watch)
  }

  /** What a raw object holds now: scalars as they are, objects as tokens, which do not keep them alive. */
  contentOf(raw: object): Map<Key, unknown> {
    const seen = new Map<Key, unknown>()
    if (isList(raw)) for (let index = 0; index < raw.length; index++) seen.set(index, this.token(raw[index]))
    else for (const [key, value] of Object.entries(raw)) if (key !== '__proto__') seen.set(key, this.token(value))
    return seen
  }

  /** Objects that had been put into watched arrays have been replaced by copies. */
  replaceItemsByCopies(copies: ReadonlyMap<object, Container>): void {
    if (this.isEmpty) return
    for (const { objects: sources } of this.groups) {
      for (const source of sources) source.lastItems = source.lastItems.map((item) => copies.get(item as object) ?? item)
    }
    this.trim()
  }

  /** Lets go of the oldest where too much is watched, and of what nobody holds any more. */
  trim(): void {
    let slots = 0
    const kept: WatchGroup<A>[] = []
    for (const watch of this.groups.toReversed()) {
      watch.objects = watch.objects.filter((source) => source.ref.deref() !== undefined)
      const size = watch.objects.reduce((sum, source) => sum + source.lastContent.size + 1, 0)
      slots += size
      const fits = kept.length < LIMITS.watches && (slots <= LIMITS.slots || kept.length === 0)
      if (fits && size > 0) kept.push(watch)
    }
    this.groups = kept.reverse()
  }

  private token(value: unknown): unknown {
    if (!isObject(value)) return value
    this.tokens ??= new WeakMap()
    return getOrInsert(this.tokens, proxyInfo(value)?.raw ?? value, () => ({}))
  }
}

function isWatchable(raw: Container, copy: Container): boolean {
  if (Object.isFrozen(raw)) return false
  // What was left out would be missing among the elements.
  if (isList(raw)) return raw.length === copy.length
  // A getter may give another object each time, which would look like a change each time.
  return Object.keys(raw).every(
    (key) => !(isObject(copy[key as keyof Container]) && Object.getOwnPropertyDescriptor(raw, key)?.get),
  )
}
