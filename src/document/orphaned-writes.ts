import type { DocumentState } from './document-state.js'
import { type Container, equal, isContainer, type Path } from './json.js'
import type { Conflict } from './merge-strategy.js'
import { ChildKeys, type Node } from './tree.js'

/*
 * Another writer may remove a container while the application holds a reference to it. The reference goes on working, but what is written through it
 * is in no document any more: an orphaned write. Each is reported once as a conflict, at the rebase or at the next takeChanges.
 */

/**
 * Notes that another writer removed the container at `path`, unless this side has moved it to another place.
 *
 * @param childKeys the same for all that are removed from one container
 * @returns the conflict, if the container has unsaved writes
 */
export function noteRemoval(
  state: DocumentState,
  raw: Container,
  path: Path,
  theirs: unknown,
  childKeys = new ChildKeys(),
): Conflict | undefined {
  const node = state.tree.find(raw)
  // A container without a node was never read: the application has no reference to it.
  if (!node || childKeys.isReachable(node, state.tree.root)) return undefined
  state.removedByOthers ??= new WeakMap()
  state.removedByOthers.set(raw, path)
  if (!state.journal.isChangedWithin(raw)) return undefined
  const base = state.base.toJson(raw)
  const mine = state.nonJson.itemToJson(raw)
  if (equal(base, mine)) return undefined
  markReported(state, raw)
  return { path, kind: 'deleted-under-edit', base, mine, theirs, won: 'theirs' }
}

/** The writes in this container are part of a conflict now, so the next {@link findOrphanedWrites} must not report them again. */
function markReported(state: DocumentState, raw: Container): void {
  state.reportedOrphans ??= new WeakSet()
  state.reportedOrphans.add(raw)
  for (const child of Object.values(raw)) if (isContainer(child)) markReported(state, child)
}

/**
 * The conflicts of writes to containers that another writer removed.
 *
 * @param inDocument the written containers that are part of the document; `undefined` if nothing was ever removed
 */
export function findOrphanedWrites(state: DocumentState, inDocument: ReadonlySet<Container> | undefined): Conflict[] {
  const conflicts: Conflict[] = []
  if (!inDocument) return conflicts
  for (const raw of state.journal.writtenContainers()) {
    if (inDocument.has(raw) || state.reportedOrphans?.has(raw)) continue
    const path = removedPathOf(state, state.tree.nodeOf(raw))
    if (path) conflicts.push({ path, kind: 'orphan-write', mine: state.nonJson.toJson(raw), won: 'theirs' })
  }
  return conflicts
}

/** The former path of this container, or of the one above it that was removed. */
function removedPathOf(state: DocumentState, node: Node): Path | undefined {
  const path = state.removedByOthers?.get(node.raw)
  if (path) return path
  for (const parent of node.parents) {
    const pathAbove = state.tree.holds(parent, node) ? removedPathOf(state, parent) : undefined
    if (pathAbove) return pathAbove
  }
  return undefined
}
