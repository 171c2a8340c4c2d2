import { describe, expect, it } from 'vitest'
import { evictOldest } from '../../src/util/maps.js'

describe('a bounded map', () => {
  it('loses its oldest entry, one for each that is too many', () => {
    const map = new Map<number, string>()
    const evicted: (number | undefined)[] = []
    for (let key = 0; key < 6; key++) {
      map.set(key, '')
      evicted.push(evictOldest(map, 3)?.[0])
    }
    expect(evicted).toEqual([undefined, undefined, undefined, 0, 1, 2])
    expect([...map.keys()]).toEqual([3, 4, 5])
  })

  it('keeps what was put in again, and passes what was removed by others', () => {
    const map = new Map([0, 1, 2, 3].map((key) => [key, '']))
    expect(evictOldest(map, 3)?.[0]).toBe(0)
    map.delete(1)
    map.set(1, '')
    map.delete(2)
    map.set(4, '')
    map.set(5, '')
    expect(evictOldest(map, 3)?.[0]).toBe(3)
    map.set(6, '')
    expect(evictOldest(map, 3)?.[0]).toBe(1)
    expect([...map.keys()]).toEqual([4, 5, 6])
  })

  it('goes on after the map was smaller, or empty, for a while', () => {
    const set = new Set([0, 1, 2])
    expect(evictOldest(set, 2)?.[0]).toBe(0)
    set.clear()
    expect(evictOldest(set, 2)).toBeUndefined()
    for (const key of [3, 4, 5]) set.add(key)
    expect(evictOldest(set, 2)?.[0]).toBe(3)
    set.clear()
    // Not told that it is smaller.
    for (const key of [6, 7, 8]) set.add(key)
    expect(evictOldest(set, 2)?.[0]).toBe(6)
    expect(evictOldest(set, 0)?.[0]).toBe(7)
    expect(evictOldest(set, 0)?.[0]).toBe(8)
    expect(evictOldest(set, 0)).toBeUndefined()
  })

  it('does not look for its oldest entry from the beginning each time: that gets slower with each entry that was removed', () => {
    let begun = 0
    class Counted extends Map<number, string> {
      override entries(): MapIterator<[number, string]> {
        begun++
        return super.entries()
      }
    }
    const map = new Counted()
    for (let key = 0; key < 1000; key++) {
      map.set(key, '')
      evictOldest(map, 100)
    }
    expect(map.size).toBe(100)
    expect(begun).toBe(1)
  })
})
