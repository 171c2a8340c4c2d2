import { getOrInsert } from '../util/maps.js'
import type { DocumentState } from './document-state.js'
import { type Container, clone, type Dict, isList, type List } from './json.js'
import { ChildKeys, type Node } from './tree.js'
import type { WatchedObjects } from './watched-objects.js'

/**
 * Gives each place its own container, because JSON has no aliases. One of the places keeps the container, all others get copies. The
 * place that has it in the base keeps it: otherwise a failed save would lose its before-images.
 */
export function splitAliases(state: DocumentState, watchedObjects: WatchedObjects): void {
  const { tree } = state
  if (!tree.aliased) return
  const childKeys = new ChildKeys()
  const replaced = new Map<List, List>()
  const itemsBefore = new Map<Container, ReadonlySet<unknown>>()
  const wasAt = ({ raw }: Node, key: string, node: Node): boolean => {
    if (!isList(raw)) return state.base.get(raw, key) === node.raw
    return getOrInsert(itemsBefore, raw, () => new Set(state.base.items(raw))).has(node.raw)
  }
  const markUnlinked = (node: Node): void => {
    if (node.hasUnlinked) return
    node.hasUnlinked = true
    for (const parent of node.parents) if (childKeys.of(parent, node).length > 0) markUnlinked(parent)
  }
  for (const node of tree.aliased) {
    const takenOut: Node[] = []
    const places: [parent: Node, key: string][] = []
    for (const parent of node.parents) {
      const keys = childKeys.of(parent, node)
      if (keys.length === 0) continue
      if (!childKeys.isReachable(parent, tree.root)) takenOut.push(parent)
      else for (const key of keys) places.push([parent, key])
    }
    const before = places.length > 1 ? places.find(([parent, key]) => wasAt(parent, key, node)) : undefined
    const kept = before ?? places[0]
    for (const [parent, key] of places) {
      if (!kept || (parent === kept[0] && key === kept[1])) continue
      const { raw } = parent
      if (isList(raw)) getOrInsert(replaced, raw, () => raw.slice())
      ;(raw as Dict)[key] = clone(node.raw)
    }
    node.mayBeAliased = false
    node.lastKey = kept ? kept[1] : ''
    // Of several parents that were taken out it would keep all, and all that they hold, for as long as it lives itself.
    const parent = kept?.[0] ?? takenOut[0]
    node.parents = parent?.asParents ?? []
    for (const other of takenOut) if (other !== parent) markUnlinked(other)
  }
  tree.aliased = undefined
  for (const [list, before] of replaced) watchedObjects.onReplaced(list, before)
}
