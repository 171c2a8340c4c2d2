import type { EndReason } from '../types.js'

/** How an ended session ended. */
export interface Tombstone {
  reason: EndReason
  /** Orders ends against the moments that `now()` gives. */
  order: number
  /** It was stored again since, under the same id. */
  superseded: boolean
  /** Settles when the answer to the request that rotated the session away should have arrived; `undefined` from then on. */
  rotation: Promise<unknown> | undefined
}

const REMEMBERED = 10_000

/** The recently ended sessions of a store, against everything that was under way when they ended. */
export class Tombstones {
  readonly #ends = new Map<string, Tombstone>()
  #order = 0
  #all = 0

  /** A moment, to compare later ends with. */
  now(): number {
    return this.#order
  }

  add(sid: string, reason: EndReason, rotation: Promise<unknown> | undefined): void {
    this.#order++
    this.#ends.delete(sid)
    const end: Tombstone = { reason, order: this.#order, superseded: false, rotation }
    rotation?.then(() => {
      end.rotation = undefined
    })
    this.#ends.set(sid, end)
    if (this.#ends.size > REMEMBERED) this.#ends.delete(this.#ends.keys().next().value as string)
  }

  /** It is gone once more: what was read in between is as dead. */
  renew(sid: string): void {
    const end = this.#ends.get(sid)
    if (end) end.order = ++this.#order
  }

  get(sid: string): Tombstone | undefined {
    return this.#ends.get(sid)
  }

  /** Has it ended, and not been stored again? */
  has(sid: string): boolean {
    return this.#ends.get(sid)?.superseded === false
  }

  /** The store has the session, again: an application may give ids of its own, and so one id twice. */
  supersede(sid: string): void {
    const end = this.#ends.get(sid)
    if (end) end.superseded = true
  }

  /** Every session has ended. */
  addAll(): void {
    this.#all = ++this.#order
  }

  /** Has the session ended since that moment? */
  since(sid: string, moment: number): boolean {
    return Math.max(this.#all, this.#ends.get(sid)?.order ?? 0) > moment
  }
}
