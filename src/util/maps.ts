import { Attached } from './attached.js'

interface Evictable<K, V> {
  readonly size: number
  entries(): Iterator<[K, V]>
  delete(key: K): boolean
}

/** Where the eviction of a full map goes on: V8 keeps the places of removed entries for a while, and a new iterator passes all of them. */
const positions = new Attached<Iterator<[unknown, unknown]>>()

/**
 * Removes the oldest entry of a Map or Set that has more than `most`. For whatever a client can make grow. To be called after each insertion.
 * @returns the entry
 */
export function evictOldest<K, V>(entries: Evictable<K, V>, most: number): [K, V] | undefined {
  const position = positions.get(entries)
  if (entries.size <= most) {
    // It would keep what the map had before it was made smaller.
    if (position && entries.size < most) positions.delete(entries)
    return undefined
  }
  let next = position?.next()
  if (!next || next.done) {
    const begun = entries.entries()
    positions.set(entries, begun)
    next = begun.next()
  }
  const oldest = next.value as [K, V]
  entries.delete(oldest[0])
  return oldest
}

interface Keyed<K, V> {
  get(key: K): V | undefined
  set(key: K, value: V): unknown
}

/** The value at a key of a Map or WeakMap, made and put there if there is none. */
export function getOrInsert<K, V>(map: Keyed<K, V>, key: K, make: () => V): V {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}
