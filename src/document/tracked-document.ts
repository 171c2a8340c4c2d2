import type { SharedSessionError } from '../errors.js'
import { getOrInsert } from '../util/bounded-map.js'
import { PatchCollector, type TakenChanges } from './changes.js'
import type { TrackedDocumentOptions } from './document-state.js'
import { DocumentState } from './document-state.js'
import type { ChangeSet } from './journal.js'
import type { JsonObject } from './json.js'
import type { Conflict } from './merge-strategy.js'
import { snapshotOf } from './non-json.js'
import { normalizeNonJson, splitAliases } from './normalize.js'
import { findOrphanedWrites } from './orphaned-writes.js'
import type { Patch } from './patch.js'
import { toPatches } from './patch.js'
import { Rebase } from './rebase.js'
import { discard } from './reconcile.js'
import { syncRawObjects } from './sync-raw-objects.js'
import { DocumentView } from './view.js'

export type { TakenChanges } from './changes.js'
export type { TrackedDocumentOptions } from './document-state.js'
export type { Conflict } from './merge-strategy.js'

/*
 * Where things are in this folder:
 *
 *   face, lists       proxies and their traps; array methods that run on the live array
 *   write, admit      one write; values coming in, looked at and refused
 *   journal, base     before-images, authors, the trail to what was written; the base as it looks through them
 *   node, tree        which container sits where
 *   guests, settle    what the tree holds as it was assigned, until it becomes JSON; splitting of aliases
 *   adopt             copies of the application's objects, made at settling
 *   sources, fold     raw objects under watch after that; what was done to them
 *   collect           patches of what was written
 *   absorb, items     three-way merge in place; that of one array
 *   rules, strategy   which strategy holds where; what each one makes of a place
 *   ruling            strategies at work in an absorption
 *   orphans           writes to what another writer removed
 *   reconcile, merge  making a tree equal to another one, by identity; merge of three plain documents
 *   comparison, align what differs between two trees; finding elements of an array again
 *   diff              the patches of it
 *   script            difference of two arrays by identity (Myers)
 */

/** What an absorption found. */
export interface RebaseResult {
  /** What the others did, from the former base. */
  patches: Patch[]
  conflicts: Conflict[]
  /** Merge functions that failed. */
  problems: SharedSessionError[]
}

/**
 * A live JSON document that records what is written to it, who wrote it, and what was there before.
 *
 * The application writes to {@link view | faces}; {@link takeChanges} gives what was written as patches; {@link rebase} merges what others
 * wrote. Held references to any part stay valid through all of it. What was not written costs nothing.
 *
 * A write that cannot be kept is not made: `onProblem` is told of a `SharedSessionError`, `NOT_STORABLE` for what JSON cannot hold,
 * `RESERVED_KEY` for a name that is the host's, `TOO_LARGE` for an array that is mostly empty.
 */
export class TrackedDocument<A extends object = object> {
  private readonly state: DocumentState<A>
  private views: WeakMap<A, DocumentView<A>> | undefined
  private taken: ChangeSet<A> | undefined
  private takenHoles = 0

  /** @param data becomes the ledger's: it must not be used elsewhere any more */
  constructor(data: JsonObject, options: TrackedDocumentOptions<A> = {}) {
    this.state = new DocumentState(data, options)
  }

  /** The root proxy for this author, the same each time. Whatever is read through it writes in the author's name as well. */
  view(author: A): object {
    this.views ??= new WeakMap()
    return getOrInsert(this.views, author, () => new DocumentView(this.state, author)).root
  }

  /** Was something written since the base? Looks at no data; {@link hasChanges} knows better, {@link scanRawObjects} may find more. */
  get mayHaveChanges(): boolean {
    return !this.state.journal.isEmpty
  }

  /** How many writes there were so far. */
  get writeCount(): number {
    return this.state.writeCount
  }

  /** Does the live state hold nothing, the fixed properties apart? */
  get isEmpty(): boolean {
    return Object.keys(this.state.root).length === 0
  }

  /** Are raw objects under watch, so that {@link scanRawObjects} may find something? */
  get hasRawObjects(): boolean {
    return !this.state.rawObjects.isEmpty
  }

  /**
   * Folds in what was done to raw objects that had been assigned before the last settling. What was assigned since needs no look: the tree
   * holds it as it is, `const c = (session.cart ??= {}); c.total = 1`.
   */
  scanRawObjects(): void {
    syncRawObjects(this.state)
  }

  /** From now on the tree holds nothing of the application's. Not to be called while a handler may still be running. */
  private normalize(): void {
    this.scanRawObjects()
    normalizeNonJson(this.state)
  }

  /** Does what was written make a difference to the base? There and back does not. Looks only at what was touched. */
  hasChanges(): boolean {
    this.normalize()
    return new PatchCollector(this.state, 1).patches.length > 0
  }

  /**
   * Gives what was written since the base, after a last {@link scanRawObjects}, and makes the live state the base.
   * Settles: what was assigned becomes what JSON makes of it, aliases are split, raw objects are from now on watched.
   */
  takeChanges(): TakenChanges<A> {
    const { state } = this
    this.normalize()
    // What is in the store now, or comes back by a rollback.
    this.takenHoles = state.unsavedHoles
    state.unsavedHoles = 0
    const { patches, by, visited: seen } = new PatchCollector(state)
    const conflicts = findOrphanedWrites(state, seen)
    splitAliases(state)
    state.reportedOrphans = undefined
    this.taken = state.journal.take()
    return { patches, by, conflicts }
  }

  /**
   * What the last {@link takeChanges} gave did not reach the store: its base is the base again. Writes made since stay.
   * Does nothing after {@link rebase}, which has set another base.
   */
  rollback(): void {
    if (this.taken) this.state.journal.restore(this.taken)
    this.taken = undefined
    this.state.unsavedHoles += this.takenHoles
    this.takenHoles = 0
  }

  /** Forgets every unsaved write: the live state is the base again. */
  discard(): void {
    this.normalize()
    this.state.unsavedHoles = 0
    discard(this.state)
  }

  /**
   * Merges what others made of the base, in place. Afterwards {@link base} is `theirs`, and what was written here stays on top.
   *
   * @param theirs stays the caller's
   */
  rebase(theirs: JsonObject): RebaseResult {
    this.normalize()
    this.taken = undefined
    const comparison = this.state.diffFromBase(this.withoutReservedKeys(theirs))
    if (!comparison.differs(this.state.root)) return { patches: [], conflicts: [], problems: [] }
    const patches = toPatches(comparison)
    const { conflicts, problems } = new Rebase(this.state, comparison)
    return { patches, conflicts, problems }
  }

  /** What others did, as {@link rebase} would tell it, without taking it in. */
  diffFromBase(theirs: JsonObject): Patch[] {
    return toPatches(this.state.diffFromBase(this.withoutReservedKeys(theirs)))
  }

  /** Does the base equal this? */
  isBase(data: JsonObject): boolean {
    return this.state.base.equals(this.state.root, data)
  }

  /** A deep plain copy of the live state, without the fixed properties and what cannot be stored. */
  snapshot(): JsonObject {
    return snapshotOf(this.state.nonJson, this.state.root)
  }

  /** The live state as JSON, without the fixed properties. After a {@link takeChanges}: nothing is in it that JSON would write differently. */
  json(): string {
    return JSON.stringify(this.state.root)
  }

  /** A deep plain copy of the base. */
  base(): JsonObject {
    return this.state.baseToJson()
  }

  private withoutReservedKeys(data: JsonObject): JsonObject {
    const names = Object.keys(data)
    if (!names.some((name) => this.state.isReserved(name))) return data
    return Object.fromEntries(
      names.filter((name) => !this.state.isReserved(name)).map((name) => [name, data[name] as JsonObject]),
    )
  }
}
