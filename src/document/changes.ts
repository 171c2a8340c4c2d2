import { diffArrays, type Edit } from './array-diff.js'
import type { DocumentState } from './document-state.js'
import { ABSENT, type Container, type Dict, equal, fingerprint, isContainer, isList, type List, type Path } from './json.js'
import type { Conflict } from './merge-strategy.js'
import type { Patch } from './patch.js'
import { ChildKeys, type Node } from './tree.js'

/**
 * What was written since the last `takeChanges`. After `session.cart.total = 5` by author `a`:
 *
 * ```js
 * { patches: [{ op: 'replace', path: ['cart', 'total'], value: 5 }], by: [new Set([a])], conflicts: [] }
 * ```
 */
export interface TakenChanges {
  /** From the former base to the live tree. */
  patches: Patch[]
  /** For each patch the authors of all writes at its path, below it or above it. */
  by: ReadonlySet<object>[]
  /** Writes to containers that another writer had removed. */
  conflicts: Conflict[]
}

/** An array is replaced as a whole if more elements than this were added, and they are more than half of it. */
const MAX_ADDED = 64

const NO_AUTHORS: ReadonlySet<never> = new Set()

/**
 * Makes patches of what was written: walks from the root along the journal's trail of changed children, so it visits only what was written. It
 * changes no data.
 * @param limit stop after so many patches
 */
export function collectPatches(
  state: DocumentState,
  limit = Number.POSITIVE_INFINITY,
): Pick<PatchCollector, 'patches' | 'by' | 'visited'> {
  const collector = new PatchCollector(state, limit)
  if (!state.journal.isEmpty) collector.collect(state.root, [], NO_AUTHORS)
  return collector
}

class PatchCollector {
  readonly patches: Patch[] = []
  readonly by: ReadonlySet<object>[] = []
  /**
   * The visited containers: those that were written to and are part of the document. Written containers that are missing here were
   * removed. Kept only if another writer ever removed a container.
   */
  readonly visited: Set<Container> | undefined
  private readonly childKeys = new ChildKeys()

  constructor(
    private readonly state: DocumentState,
    private readonly limit: number,
  ) {
    if (state.removedByOthers) this.visited = new Set()
  }

  /** @param authorsAbove who replaced a container above this one */
  collect(raw: Container, path: Path, authorsAbove: ReadonlySet<object>): void {
    this.visited?.add(raw)
    const { journal } = this.state
    const doneKeys = isList(raw) ? this.collectList(raw, path, authorsAbove) : this.collectDict(raw, path, authorsAbove)
    const children = journal.changedChildren(raw)
    if (!children) return
    const parent = this.state.tree.find(raw) as Node
    for (const child of children) {
      for (const key of this.childKeys.of(parent, child)) {
        if (doneKeys?.has(key) || this.patches.length >= this.limit) continue
        const childPath = [...path, isList(raw) ? Number(key) : key]
        this.collect(child.raw, childPath, this.authorsAt(authorsAbove, raw, key, []))
      }
    }
  }

  /** @returns the keys whose values were compared as a whole, if something was written below */
  private collectDict(raw: Dict, path: Path, authorsAbove: ReadonlySet<object>): Set<string> | undefined {
    const { journal, base } = this.state
    const written = journal.writtenKeys(raw)
    if (!written) return undefined
    const doneKeys = journal.changedChildren(raw) && new Set<string>()
    for (const [key, { before }] of written) {
      const live = Object.hasOwn(raw, key) ? raw[key] : ABSENT
      // The container was put back: only what was written inside counts.
      if (live === before && isContainer(before)) continue
      doneKeys?.add(key)
      const was = base.toJson(before)
      const now = this.wholeValue(live)
      const keyPath = [...path, key]
      const by = this.authorsAt(authorsAbove, raw, key, [before, live])
      if (now === ABSENT) {
        if (was !== ABSENT) this.addPatch({ op: 'remove', path: keyPath }, by)
      } else if (was === ABSENT) this.addPatch({ op: 'add', path: keyPath, value: now }, by)
      else if (!equal(was, now)) this.addPatch({ op: 'replace', path: keyPath, value: now }, by)
    }
    return doneKeys
  }

  private collectList(raw: List, path: Path, authorsAbove: ReadonlySet<object>): Set<string> | undefined {
    const before = this.state.journal.itemsBefore(raw)
    if (!before) return undefined
    const doneKeys = new Set<string>()
    const edits = diffArrays(before, raw)
    let added = 0
    for (const edit of edits) added += edit.added
    if (added > MAX_ADDED && added > raw.length / 2) {
      for (const index of raw.keys()) doneKeys.add(String(index))
      const value = Array.from(raw, (item) => this.wholeItem(item))
      if (equal(this.state.base.toJson(raw), value)) return doneKeys
      this.addPatch({ op: 'replace', path, value }, this.authorsAt(authorsAbove, raw, '', [...before, ...raw]))
    } else if (this.isReplacedByEqualItems(raw, before, edits)) {
      for (const [index, item] of raw.entries()) if (item !== before[index]) doneKeys.add(String(index))
    } else this.collectEdits(raw, before, edits, path, authorsAbove, doneKeys)
    return doneKeys
  }

  private collectEdits(
    raw: List,
    before: List,
    edits: Edit[],
    path: Path,
    authorsAbove: ReadonlySet<object>,
    doneKeys: Set<string>,
  ): void {
    const authorsOf = (...items: unknown[]) => this.authorsAt(authorsAbove, raw, '', items)
    let from = 0
    let index = 0
    for (const { removed, added, kept } of edits) {
      const replaced = Math.min(removed, added)
      for (let i = 0; i < added; i++, index++) {
        doneKeys.add(String(index))
        const item = raw[index]
        const value = this.wholeItem(item)
        if (i >= replaced) this.addPatch({ op: 'add', path: [...path, index], value }, authorsOf(item))
        else {
          const old = before[from + i]
          const isChanged = !equal(this.state.base.toJson(old), value)
          if (isChanged) this.addPatch({ op: 'replace', path: [...path, index], value }, authorsOf(old, item))
        }
      }
      for (let i = replaced; i < removed; i++) {
        this.addPatch({ op: 'remove', path: [...path, index] }, authorsOf(before[from + i]))
      }
      from += removed + kept
      index += kept
    }
  }

  /**
   * Are the elements equal to the former ones, index by index, though they are other objects? The elements that the edits added and removed are
   * compared first: in most arrays they differ, and the rest need not be compared.
   */
  private isReplacedByEqualItems(raw: List, before: List, edits: Edit[]): boolean {
    if (raw.length !== before.length) return false
    const removedItems: unknown[] = []
    const addedItems: unknown[] = []
    let from = 0
    let index = 0
    for (const { removed, added, kept } of edits) {
      for (let i = 0; i < removed; i++) removedItems.push(this.state.base.toJson(before[from + i]))
      for (let i = 0; i < added; i++) addedItems.push(this.wholeItem(raw[index + i]))
      from += removed + kept
      index += added + kept
    }
    const added = new Set(addedItems.map(fingerprint))
    if (!removedItems.every((old) => added.has(fingerprint(old)))) return false
    return before.every((old, i) => old === raw[i] || equal(this.state.base.toJson(old), this.wholeItem(raw[i])))
  }

  private addPatch(patch: Patch, by: ReadonlySet<object>): void {
    this.patches.push(patch)
    this.by.push(by)
  }

  /** The JSON of a value that is compared, or goes into a patch, as a whole. */
  private wholeValue(value: unknown): unknown {
    if (isContainer(value)) this.visitWhole(value)
    return this.state.nonJson.toJson(value)
  }

  private wholeItem(value: unknown): unknown {
    const json = this.wholeValue(value)
    return json === ABSENT ? null : json
  }

  private visitWhole(raw: Container): void {
    this.visited?.add(raw)
    for (const child of Object.values(raw)) if (isContainer(child)) this.visitWhole(child)
  }

  /** Who wrote at a key, above it, or inside one of these values. */
  private authorsAt(authorsAbove: ReadonlySet<object>, raw: Container, key: string, values: unknown[]): ReadonlySet<object> {
    const own = this.state.journal.authorsOf(raw, key)
    let all = authorsAbove.size > 0 ? new Set([...authorsAbove, ...own]) : undefined
    for (const value of values) {
      if (!isContainer(value) || !this.state.journal.isChangedWithin(value)) continue
      all ??= new Set(own)
      this.addAuthorsWithin(value, all, new Set())
    }
    return all ?? own
  }

  private addAuthorsWithin(raw: Container, all: Set<object>, visited: Set<Container>): void {
    if (visited.has(raw)) return
    visited.add(raw)
    for (const author of this.state.journal.allAuthorsOf(raw)) all.add(author)
    for (const child of this.state.journal.changedChildren(raw) ?? []) this.addAuthorsWithin(child.raw, all, visited)
  }
}
