import { diffArrays, type Edit } from './array-diff.js'
import type { DocumentState } from './document-state.js'
import { ABSENT, type Container, type Dict, equal, hasOwn, isContainer, isList, type List, type Path } from './json.js'
import type { Conflict } from './merge-strategy.js'
import type { Patch } from './patch.js'
import { ChildKeys, type Node } from './tree.js'

/** What was written since the last collect. */
export interface TakenChanges<A> {
  /** From the former base to the live tree. */
  patches: Patch[]
  /** For each patch, who wrote at its place, below or above it. */
  by: ReadonlySet<A>[]
  /** Writes that went to what another writer had removed. */
  conflicts: Conflict[]
}

/** Above this size, an array of which little is left is replaced as a whole instead of element by element. */
const LARGE = 64

/**
 * The walk that makes patches: from the root along the journal's trail, so that only what was written is looked at. It changes
 * nothing; use an instance once.
 */
export class PatchCollector<A extends object> {
  readonly patches: Patch[] = []
  readonly by: ReadonlySet<A>[] = []
  /** Containers that belong to the document: all others that were written to have been removed. Kept where that can be asked for. */
  readonly visited: Set<Container> | undefined
  private readonly childKeys = new ChildKeys()

  /** @param limit stop after so many patches */
  constructor(
    private readonly state: DocumentState<A>,
    private readonly limit = Number.POSITIVE_INFINITY,
  ) {
    if (state.removedByOthers) this.visited = new Set()
    if (!state.journal.isEmpty) this.collect(state.root, [], NOBODY)
  }

  private collect(raw: Container, path: Path, above: ReadonlySet<A>): void {
    this.visited?.add(raw)
    const { journal } = this.state
    const done = isList(raw) ? this.collectList(raw, path, above) : this.collectDict(raw, path, above)
    const below = journal.changedChildren(raw)
    if (!below) return
    const parent = this.state.tree.find(raw) as Node
    for (const child of below) {
      for (const key of this.childKeys.of(parent, child)) {
        if (done?.has(key) || this.patches.length >= this.limit) continue
        this.collect(child.raw, [...path, isList(raw) ? Number(key) : key], this.authorsAt(above, raw, key, []))
      }
    }
  }

  /** @returns the keys whose value was looked at as a whole, where something was written below */
  private collectDict(raw: Dict, path: Path, above: ReadonlySet<A>): Set<string> | undefined {
    const { journal } = this.state
    const slots = journal.writtenKeys(raw)
    if (!slots) return undefined
    const done = journal.changedChildren(raw) && new Set<string>()
    for (const [key, { before: old }] of slots) {
      // Put back where it was: only what was written inside counts.
      const live = hasOwn(raw, key) ? raw[key] : ABSENT
      if (live === old && isContainer(old)) continue
      done?.add(key)
      const was = old === ABSENT ? ABSENT : this.state.base.toJson(old)
      const now = live === ABSENT ? ABSENT : this.value(live)
      const place = [...path, key]
      const by = this.authorsAt(above, raw, key, [old, live])
      if (now === ABSENT) {
        if (was !== ABSENT) this.addPatch({ op: 'remove', path: place }, by)
      } else if (was === ABSENT) this.addPatch({ op: 'add', path: place, value: now }, by)
      else if (!equal(was, now)) this.addPatch({ op: 'replace', path: place, value: now }, by)
    }
    return done
  }

  private collectList(raw: List, path: Path, above: ReadonlySet<A>): Set<string> | undefined {
    const before = this.state.journal.itemsBefore(raw)
    if (!before) return undefined
    const done = new Set<string>()
    const runs = diffArrays(before, raw)
    let added = 0
    for (const run of runs) added += run.added
    if (added > LARGE && added > raw.length / 2) {
      for (const index of raw.keys()) done.add(String(index))
      const value = Array.from(raw, (wholeItem) => this.item(wholeItem))
      if (equal(this.state.base.toJson(raw), value)) return done
      this.addPatch({ op: 'replace', path, value }, this.authorsAt(above, raw, '', [...before, ...raw]))
    } else if (this.isReplacedByEqualItems(raw, before, runs)) {
      for (const [index, item] of raw.entries()) if (item !== before[index]) done.add(String(index))
    } else this.collectEdits(raw, before, runs, path, above, done)
    return done
  }

  private collectEdits(raw: List, before: List, runs: Edit[], path: Path, above: ReadonlySet<A>, done: Set<string>): void {
    let from = 0
    let index = 0
    for (const run of runs) {
      const replaced = Math.min(run.removed, run.added)
      for (let i = 0; i < run.added; i++, index++) {
        done.add(String(index))
        const place = [...path, index]
        const now = this.item(raw[index])
        if (i >= replaced) this.addPatch({ op: 'add', path: place, value: now }, this.authorsAt(above, raw, '', [raw[index]]))
        else if (!equal(this.state.base.toJson(before[from + i]), now)) {
          this.addPatch(
            { op: 'replace', path: place, value: now },
            this.authorsAt(above, raw, '', [before[from + i], raw[index]]),
          )
        }
      }
      for (let i = replaced; i < run.removed; i++) {
        this.addPatch({ op: 'remove', path: [...path, index] }, this.authorsAt(above, raw, '', [before[from + i]]))
      }
      from += run.removed + run.kept
      index += run.kept
    }
  }

  /** Are the elements equal to what was there, though not the same? Then what came is equal to what went, which is looked at first. */
  private isReplacedByEqualItems(raw: List, before: List, runs: Edit[]): boolean {
    if (raw.length !== before.length) return false
    const went: unknown[] = []
    const came: unknown[] = []
    let from = 0
    let index = 0
    for (const { removed, added, kept } of runs) {
      for (let i = 0; i < removed; i++) went.push(this.state.base.toJson(before[from + i]))
      for (let i = 0; i < added; i++) came.push(this.item(raw[index + i]))
      from += removed + kept
      index += added + kept
    }
    if (!went.every((old) => came.some((now) => equal(old, now)))) return false
    return before.every((old, index) => old === raw[index] || equal(this.state.base.toJson(old), this.item(raw[index])))
  }

  private addPatch(patch: Patch, by: ReadonlySet<A>): void {
    this.patches.push(patch)
    this.by.push(by)
  }

  /** A value that goes into a patch as a whole. */
  private value(value: unknown): unknown {
    if (isContainer(value)) this.visitAll(value)
    return this.state.nonJson.toJson(value)
  }

  private item(value: unknown): unknown {
    const image = this.value(value)
    return image === ABSENT ? null : image
  }

  private visitAll(raw: Container): void {
    this.visited?.add(raw)
    const node = this.state.tree.find(raw)
    // Something taken out still holds it: if that is put back, it sits at two places.
    if (node && node.parents.length > 1) this.state.tree.markAliased(node)
    for (const child of Object.values(raw)) if (isContainer(child)) this.visitAll(child)
  }

  private authorsAt(above: ReadonlySet<A>, raw: Container, key: string, values: unknown[]): ReadonlySet<A> {
    const own = this.state.journal.authorsOf(raw, key)
    let all = above.size > 0 ? new Set([...above, ...own]) : undefined
    for (const value of values) {
      if (!isContainer(value) || !this.state.journal.isChangedWithin(value)) continue
      all ??= new Set(own)
      this.addAuthorsWithin(value, all, new Set())
    }
    return all ?? own
  }

  private addAuthorsWithin(raw: Container, all: Set<A>, visited: Set<Container>): void {
    if (visited.has(raw)) return
    visited.add(raw)
    for (const author of this.state.journal.allAuthorsOf(raw)) all.add(author)
    for (const child of this.state.journal.changedChildren(raw) ?? []) this.addAuthorsWithin(child.raw, all, visited)
  }
}

const NOBODY: ReadonlySet<never> = new Set()
