import type { SharedSessionError } from '../errors.js'
import { getOrInsert } from '../util/maps.js'
import { collectPatches, type TakenChanges } from './changes.js'
import { DocumentState, type TrackedDocumentOptions } from './document-state.js'
import type { ChangeSet } from './journal.js'
import type { JsonObject } from './json.js'
import type { Conflict } from './merge-strategy.js'
import { snapshotOf } from './non-json.js'
import { normalizeNonJson } from './normalize.js'
import { findOrphanedWrites } from './orphaned-writes.js'
import { type Patch, toPatches } from './patch.js'
import { rebase } from './rebase.js'
import { restoreBase } from './reconcile.js'
import { splitAliases } from './split-aliases.js'
import { authorsOfUndone } from './undone-writes.js'
import { DocumentView } from './view.js'
import { WatchedObjects } from './watched-objects.js'

export type { TakenChanges } from './changes.js'
export type { TrackedDocumentOptions } from './document-state.js'
export type { Conflict } from './merge-strategy.js'

/*
 * This folder: a JSON document that tracks what is written to it. It knows nothing of sessions.
 *
 *   A write       view, array-methods        the proxies of one author, and their array methods
 *                 write                      checks the values, then changes the live tree
 *                 journal, base-view         before-images and authors; the base, seen through the before-images
 *                 document-state, tree       everything a document holds; its containers, and which one holds which
 *   A save        normalize, non-json        makes JSON of what handlers assigned: copies
 *                 split-aliases              one place for each container
 *                 watched-objects            watches the assigned objects themselves after that
 *                 changes, orphaned-writes   patches and their authors; writes to what others removed
 *   A rebase      comparison               compares the values of two trees
 *                 tree-diff, patch           what differs between two trees, and as patches; applying patches
 *                 rebase, merge-arrays       the three-way merge into the live tree; that of one array
 *                 merge-strategy             strategies by path, and conflicts
 *                 conflict-resolver          the strategies during a rebase
 *                 undone-writes              writes of what the base had, where the base was wrong
 *                 reconcile                  makes the live tree equal to other data, or to the base
 *   Without it    merge                      merges of plain documents, for HTTP requests and logins
 *   Basics        array-diff, json, to-json, errors, proxy-registry
 *
 * Words: a container is a plain object ("dict") or an array ("list"). The live tree is what the application reads and writes. The base is what
 * the store holds, as far as known. An application object is one that a handler made and assigned: it is in the tree itself until the next save.
 *
 * Example:
 *
 *   const document = new TrackedDocument({ n: 1, cart: { items: ['tea'] } })
 *   const session = document.view(author)
 *   session.n = 2                          // the journal has the before-image: key n of the root was 1
 *   session.cart.items.push('cup')         // and: the array was ['tea']; root and cart have it among their changed children
 *   document.base()                        // { n: 1, cart: { items: ['tea'] } }: the live tree seen through the journal
 *   document.takeChanges().patches         // [{ op: 'replace', path: ['n'], value: 2 },
 *                                          //  { op: 'add', path: ['cart', 'items', 1], value: 'cup' }]
 *   document.base()                        // { n: 2, cart: { items: ['tea', 'cup'] } }: the journal is empty; rollback() would undo that
 *   session.n = 3
 *   document.rebase({ n: 2, cart: { items: ['tea', 'cup'] }, user: 'ann' })
 *   document.base()                        // theirs: { n: 2, cart: { items: ['tea', 'cup'] }, user: 'ann' }
 *   document.snapshot()                    // theirs, and the unsaved write on top: { n: 3, cart: ..., user: 'ann' }
 */

/** The result of {@link TrackedDocument.rebase}. */
export interface RebaseResult {
  /** What the others changed: from the former base to theirs. */
  patches: Patch[]
  conflicts: Conflict[]
  /** Errors of merge functions. */
  problems: SharedSessionError[]
}

/**
 * A live JSON document that records what is written to it, who wrote it, and what was there before.
 *
 * The application writes to {@link view | views}. {@link takeChanges} returns the writes as patches. {@link rebase} merges what others
 * wrote. References to any part of the document stay valid through all of it. The cost depends on what was written, not on the document's size.
 *
 * A write that cannot be kept is not made. `onProblem` then gets a `SharedSessionError`: `NOT_STORABLE` for what JSON cannot hold,
 * `RESERVED_KEY` for a name of the host, `TOO_LARGE` for an array that is mostly empty.
 */
export class TrackedDocument<A extends object = object> {
  private readonly state: DocumentState
  private readonly watchedObjects: WatchedObjects
  private views: WeakMap<A, DocumentView> | undefined
  /** What the last {@link takeChanges} took, for {@link rollback}. */
  private taken: { changes: ChangeSet | undefined; holes: number } | undefined

  /** @param data belongs to the document from now on: the caller must not use it any more */
  constructor(data: JsonObject, options: TrackedDocumentOptions<A> = {}) {
    this.state = new DocumentState(data, options)
    this.watchedObjects = new WatchedObjects(this.state)
  }

  /** The root proxy of this author, the same one each time. All that is read through it writes in the author's name too. */
  view(author: A): object {
    this.views ??= new WeakMap()
    return getOrInsert(this.views, author, () => new DocumentView(this.state, author)).root
  }

  /** Was anything written since the base? Compares no data, so equal values count. {@link scanWatchedObjects} may find more writes. */
  get mayHaveChanges(): boolean {
    return !this.state.journal.isEmpty
  }

  /** How many writes there were so far. */
  get writeCount(): number {
    return this.state.writeCount
  }

  /** Is the live document empty, apart from the fixed properties? */
  get isEmpty(): boolean {
    return Object.keys(this.state.root).length === 0
  }

  /** Are application objects watched, so that {@link scanWatchedObjects} may find something? */
  get hasWatchedObjects(): boolean {
    return !this.watchedObjects.isEmpty
  }

  /**
   * Writes to the document what handlers did to objects that they had assigned before the last save. Objects that were assigned since are in the
   * tree themselves and need no scan: `const c = (session.cart ??= {}); c.total = 1`.
   */
  scanWatchedObjects(): void {
    this.watchedObjects.scan()
  }

  /** The live tree holds only JSON of its own from now on. Must not be called while a handler may still be running. */
  private normalize(): void {
    this.scanWatchedObjects()
    normalizeNonJson(this.state, this.watchedObjects)
  }

  /** Does the live document differ from the base? Compares only what was written to: a value that was put back is no change. */
  hasChanges(): boolean {
    this.normalize()
    return collectPatches(this.state, 1).patches.length > 0
  }

  /**
   * Returns what was written since the base, and makes the live document the base. Application objects are copied before: the document watches
   * them from then on ({@link scanWatchedObjects}).
   */
  takeChanges(): TakenChanges {
    const { state } = this
    this.normalize()
    const { patches, by, visited } = collectPatches(state)
    const conflicts = findOrphanedWrites(state, visited)
    splitAliases(state, this.watchedObjects)
    state.reportedOrphans = undefined
    // The holes are stored now, or come back by a rollback.
    this.taken = { changes: state.journal.take(), holes: state.unsavedHoles }
    state.unsavedHoles = 0
    return { patches, by, conflicts }
  }

  /**
   * What the last {@link takeChanges} returned did not reach the store: the base before it is the base again. Later writes stay. Does nothing after a
   * {@link rebase}, which has set another base.
   */
  rollback(): void {
    const { taken, state } = this
    if (taken?.changes) state.journal.restore(taken.changes)
    state.unsavedHoles += taken?.holes ?? 0
    this.taken = undefined
  }

  /** Undoes all unsaved writes: the live document is the base again. */
  discard(): void {
    this.normalize()
    this.state.unsavedHoles = 0
    restoreBase(this.state)
  }

  /**
   * Merges what others made of the base into the live document. Afterwards {@link base} is `theirs`, and the unsaved writes are on top of it.
   *
   * @param theirs stays the caller's
   */
  rebase(theirs: JsonObject): RebaseResult {
    this.normalize()
    this.taken = undefined
    const treeDiff = this.state.compareWithBase(this.withoutReservedKeys(theirs))
    if (!treeDiff.differs(this.state.root)) return { patches: [], conflicts: [], problems: [] }
    const patches = toPatches(treeDiff)
    const { conflicts, problems } = rebase(this.state, treeDiff)
    this.state.forgetMeasurement()
    return { patches, conflicts, problems }
  }

  /** What others changed, as {@link rebase} would return it. Changes nothing. */
  diffFromBase(theirs: JsonObject): Patch[] {
    return toPatches(this.state.compareWithBase(this.withoutReservedKeys(theirs)))
  }

  /** The authors of writes that change nothing, where others have changed the base: {@link rebase} undoes them. */
  authorsOfUndone(theirs: JsonObject): Set<A> {
    this.normalize()
    return authorsOfUndone(this.state, this.diffFromBase(theirs)) as Set<A>
  }

  /** Does the base equal this? */
  isBase(data: JsonObject): boolean {
    return this.state.base.equals(this.state.root, data)
  }

  /** A deep plain copy of the live document, without the fixed properties and without what cannot be stored. */
  snapshot(): JsonObject {
    return snapshotOf(this.state.nonJson, this.state.root)
  }

  /** The live document as JSON, without the fixed properties. Call it after {@link takeChanges}: the tree holds nothing but JSON then. */
  json(): string {
    return JSON.stringify(this.state.root)
  }

  /**
   * A write that would make the JSON of the live document longer than this is refused from now on with `TOO_LARGE`, unless it makes it shorter.
   * @param maxLength in characters; `Infinity` for no limit
   */
  limitLength(maxLength: number): void {
    this.state.limitLength(maxLength)
  }

  /** A deep plain copy of the base. */
  base(): JsonObject {
    return this.state.baseToJson()
  }

  private withoutReservedKeys(data: JsonObject): JsonObject {
    const keys = Object.keys(data)
    if (!keys.some((key) => this.state.isReserved(key))) return data
    return Object.fromEntries(keys.filter((key) => !this.state.isReserved(key)).map((key) => [key, data[key] as JsonObject]))
  }
}
