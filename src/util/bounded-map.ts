/** Takes out what was put in first, where there is more than `most`. What a client can make more of has to have an end. */
export function evictOldest<K, V>(map: Map<K, V>, most: number): [K, V] | undefined {
  if (map.size <= most) return undefined
  const oldest = map.entries().next().value as [K, V]
  map.delete(oldest[0])
  return oldest
}
