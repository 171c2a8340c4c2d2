/** Random numbers that a seed repeats. */
export class Random {
  #state: number

  /** @param stream names one of the many sequences of a seed, so that one of them does not depend on how much another was used */
  constructor(seed: number, stream = '') {
    this.#state = seed >>> 0
    for (const character of stream) this.#state = Math.imul(this.#state ^ character.charCodeAt(0), 0x01000193) >>> 0
    this.next()
  }

  /** From 0 to below 1. */
  next(): number {
    // mulberry32
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number from 0 to below the bound. */
  below(bound: number): number {
    return Math.floor(this.next() * bound)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T
  }
}
