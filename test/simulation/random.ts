/** Numbers that follow from a seed: mulberry32. */
export class Random {
  #state = 0

  constructor(seed: number) {
    this.restart(seed)
  }

  restart(seed: number): void {
    this.#state = (seed ^ 0x9e3779b9) >>> 0
    // The first numbers of neighbouring seeds are alike.
    for (let i = 0; i < 4; i++) this.next()
  }

  /** From 0 up to 1, which is excluded. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number from 0 up to `limit`, which is excluded. */
  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  /** A whole number, both ends included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T
  }

  /** One of the names, each as often as its weight says. */
  weighted<Name extends string>(weights: Partial<Record<Name, number>>): Name {
    let sum = 0
    for (const name in weights) sum += weights[name] as number
    let dice = this.next() * sum
    let first: Name | undefined
    for (const name in weights) {
      first ??= name
      dice -= weights[name] as number
      if (dice < 0) return name
    }
    return first as Name
  }
}
