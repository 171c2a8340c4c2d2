import type { SharedSessionError } from '../errors.js'
import type { Path } from './json.js'
import type { StrategyTable } from './strategy-table.js'

/** Names of the root that the host answers for, such as `id`, `req`, `cookie` and `save`. */
export interface HostMembers<A> {
  has(name: string): boolean
  get(name: string, author: A): unknown
  /**
   * What becomes of a write to a name: it is `ignored`, it is `refused` and reported, or the name is `readonly`, as for any such property.
   * @default refused
   */
  set?(name: string, value: unknown, author: A): 'ignored' | 'refused' | 'readonly'
}

/** How a {@link TrackedDocument} sits in its host. `A` is what stands for an author: one object per face. */
export interface TrackedDocumentOptions<A extends object> {
  /** Prototype of the root, which decides what it is an `instanceof`. @default Object.prototype */
  prototype?: object | null
  /**
   * Own enumerable properties of the root that are shown (`JSON.stringify`, `Object.keys`, spread) but never tracked, merged,
   * patched or part of a snapshot: the session's `cookie`.
   */
  fixed?: Record<string, unknown>
  /**
   * Names answered per face. Together with those of `fixed` they are reserved at the root: writing them is refused with `RESERVED_KEY`, and
   * data that contains them is ignored.
   */
  members?: HostMembers<A>
  /** What becomes of a place that others have changed as well; without it the later change wins. */
  strategies?: StrategyTable | undefined
  /** Called synchronously after each effective write, also after each that {@link TrackedDocument.scanRawObjects} folded in. */
  onWrite?(author: A | undefined): void
  /** What JSON makes of a value, at its settling, lacks what the value's class gives it: a Date, a Map, a class with methods. */
  onLossy?(path: Path, value: object): void
  /** More JSON than that is never stored: an array that has more empty places is refused before it is made. @default no limit */
  maxBytes?: number
  /**
   * A write was not made, or something that was put into an assigned object cannot be stored and was left out. Called in the middle of
   * things: the ledger must not be written to meanwhile.
   * @param write where that was an assigned object: the count of {@link TrackedDocument.writes} that it was assigned by
   */
  onProblem?(error: SharedSessionError, author: A | undefined, write?: number): void
}
