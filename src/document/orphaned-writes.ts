import type { Conflict } from './conflict.js'
import { type Container, equal, isContainer, type Path } from './json.js'
import type { Node } from './node.js'
import type { State } from './state.js'

/**
 * Notes that another writer removed a container that was at `path`, unless this side has moved it elsewhere. References to it may be
 * held: they go on working, but what is written through them is lost, and reported.
 *
 * @returns the conflict, where something unsaved was written in it
 */
export function orphan<A extends object>(state: State<A>, raw: Container, path: Path, theirs: unknown): Conflict | undefined {
  const node = state.tree.find(raw)
  // Never read: nobody can hold it.
  if (!node || state.tree.isReachable(node)) return undefined
  state.orphans ??= new WeakMap()
  state.orphans.set(raw, path)
  if (!state.journal.touched(raw)) return undefined
  const base = state.base.image(raw)
  const mine = state.guests.item(raw)
  if (equal(base, mine)) return undefined
  report(state, raw)
  return { path, kind: 'deleted-under-edit', base, mine, theirs, won: 'theirs' }
}

/** What was written below is part of a conflict already, and is not reported again at the next collect. */
function report<A extends object>(state: State<A>, raw: Container): void {
  state.reported ??= new WeakSet()
  state.reported.add(raw)
  for (const child of Object.values(raw)) if (isContainer(child)) report(state, child)
}

/**
 * Writes that the walk did not come by, because another writer removed where they went.
 *
 * @param seen `undefined` where nobody removed anything
 */
export function orphanWrites<A extends object>(state: State<A>, seen: ReadonlySet<Container> | undefined): Conflict[] {
  const conflicts: Conflict[] = []
  if (!seen) return conflicts
  for (const raw of state.journal.written()) {
    const orphan = seen.has(raw) || state.reported?.has(raw) ? undefined : orphanAbove(state, state.tree.node(raw))
    if (orphan) conflicts.push({ path: orphan, kind: 'orphan-write', mine: state.guests.image(raw), won: 'theirs' })
  }
  return conflicts
}

function orphanAbove<A extends object>(state: State<A>, node: Node): Path | undefined {
  const orphan = state.orphans?.get(node.raw)
  if (orphan) return orphan
  for (const parent of node.parents) {
    const found = parent.holds(node) ? orphanAbove(state, parent) : undefined
    if (found) return found
  }
  return undefined
}
