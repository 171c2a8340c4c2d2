import type { DocumentState } from './document-state.js'
import { type Container, equal, isContainer, type Path } from './json.js'
import type { Conflict } from './merge-strategy.js'
import type { Node } from './tree.js'

/**
 * Notes that another writer removed a container that was at `path`, unless this side has moved it elsewhere. References to it may be
 * held: they go on working, but what is written through them is lost, and reported.
 *
 * @returns the conflict, where something unsaved was written in it
 */
export function noteRemoval<A extends object>(
  state: DocumentState<A>,
  raw: Container,
  path: Path,
  theirs: unknown,
): Conflict | undefined {
  const node = state.tree.find(raw)
  // Never read: nobody can hold it.
  if (!node || state.tree.isReachable(node)) return undefined
  state.removedByOthers ??= new WeakMap()
  state.removedByOthers.set(raw, path)
  if (!state.journal.isChangedWithin(raw)) return undefined
  const base = state.base.toJson(raw)
  const mine = state.nonJson.item(raw)
  if (equal(base, mine)) return undefined
  markReported(state, raw)
  return { path, kind: 'deleted-under-edit', base, mine, theirs, won: 'theirs' }
}

/** What was written below is part of a conflict already, and is not reported again at the next collect. */
function markReported<A extends object>(state: DocumentState<A>, raw: Container): void {
  state.reportedOrphans ??= new WeakSet()
  state.reportedOrphans.add(raw)
  for (const child of Object.values(raw)) if (isContainer(child)) markReported(state, child)
}

/**
 * Writes that the walk did not come by, because another writer removed where they went.
 *
 * @param seen `undefined` where nobody removed anything
 */
export function findOrphanedWrites<A extends object>(
  state: DocumentState<A>,
  seen: ReadonlySet<Container> | undefined,
): Conflict[] {
  const conflicts: Conflict[] = []
  if (!seen) return conflicts
  for (const raw of state.journal.writtenContainers()) {
    const orphan = seen.has(raw) || state.reportedOrphans?.has(raw) ? undefined : removedPathAbove(state, state.tree.nodeOf(raw))
    if (orphan) conflicts.push({ path: orphan, kind: 'orphan-write', mine: state.nonJson.toJson(raw), won: 'theirs' })
  }
  return conflicts
}

function removedPathAbove<A extends object>(state: DocumentState<A>, node: Node): Path | undefined {
  const orphan = state.removedByOthers?.get(node.raw)
  if (orphan) return orphan
  for (const parent of node.parents) {
    const found = parent.holds(node) ? removedPathAbove(state, parent) : undefined
    if (found) return found
  }
  return undefined
}
