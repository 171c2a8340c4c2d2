import type { Member } from './member.js'

/** The sockets of a session. Most sessions have one: it needs no Set. */
export class Members implements Iterable<Member> {
  #only: Member | undefined
  #several: Set<Member> | undefined

  get size(): number {
    return this.#several?.size ?? (this.#only ? 1 : 0)
  }

  add(member: Member): void {
    if (this.#several) this.#several.add(member)
    else if (!this.#only) this.#only = member
    else if (this.#only !== member) {
      this.#several = new Set([this.#only, member])
      this.#only = undefined
    }
  }

  /** @returns whether it was one of them */
  delete(member: Member): boolean {
    if (this.#several) return this.#several.delete(member)
    if (this.#only !== member) return false
    this.#only = undefined
    return true
  }

  [Symbol.iterator](): Iterator<Member> {
    if (this.#several) return this.#several.values()
    return (this.#only ? [this.#only] : NONE).values()
  }
}

const NONE: readonly Member[] = []
