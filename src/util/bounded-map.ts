interface Evictable<K, V> {
  readonly size: number
  entries(): Iterator<[K, V]>
  delete(key: K): boolean
}

/**
 * Removes the oldest entry of a Map or Set that has more than `most`. For whatever a client can make grow.
 * @returns the entry
 */
export function evictOldest<K, V>(entries: Evictable<K, V>, most: number): [K, V] | undefined {
  if (entries.size <= most) return undefined
  const oldest = entries.entries().next().value as [K, V]
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
