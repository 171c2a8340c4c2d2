import { clone, type Dict, isList } from './json.js'
import { type Node, Places } from './node.js'
import type { State } from './state.js'

/**
 * JSON has no aliases: of the places of a node in the document one stays it, every other gets its own copy. Where the base has
 * it is the place to stay, or its before-image would be lost with a failed save.
 */
export function splitAliases<A extends object>(state: State<A>): void {
  const { shared } = state.tree
  if (!shared) return
  const places = new Places()
  for (const node of shared) {
    const removed: Node[] = []
    const held: [parent: Node, key: string][] = []
    for (const parent of node.parents) {
      if (!parent.holds(node)) continue
      if (!state.tree.isReachable(parent)) removed.push(parent)
      else for (const key of places.of(parent, node)) held.push([parent, key])
    }
    const stays = held.find(([parent, key]) => wasAt(state, parent, key, node)) ?? held[0]
    for (const [parent, key] of held) {
      if (stays && (parent !== stays[0] || key !== stays[1])) (parent.raw as Dict)[key] = clone(node.raw)
    }
    node.shared = false
    node.parents = stays ? [stays[0], ...removed] : removed
    node.hint = stays ? stays[1] : ''
  }
  state.tree.shared = undefined
}

function wasAt<A extends object>(state: State<A>, parent: Node, key: string, node: Node): boolean {
  if (isList(parent.raw)) return (state.journal.listBefore(parent.raw) ?? parent.raw).includes(node.raw)
  return state.base.get(parent.raw, key) === node.raw
}
