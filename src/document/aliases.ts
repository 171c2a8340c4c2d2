import { type DocumentState, setOwn } from './document-state.js'
import { ValueImport } from './import-value.js'
import { ABSENT, clone, type Dict, hasOwn, isContainer, isList, isObject, type Key } from './json.js'
import { ChildKeys, type Node } from './node.js'

/**
 * Makes JSON of everything that the tree holds as it was assigned: objects of the application are replaced by copies, Dates and the like by
 * their images. What cannot be stored is reported, and left out.
 */
export function normalizeNonJson<A extends object>(state: DocumentState<A>): void {
  const { tree, nonJson: guests } = state
  if (guests.isEmpty && tree.uncopiedNodes.length === 0) return
  const adoption = new ValueImport(state)
  for (const [raw, keys] of guests.takeHolders()) {
    const holder = tree.nodeOf(raw)
    if (!isList(raw)) {
      for (const key of keys) {
        const value = hasOwn(raw, key) ? convertAt(state, adoption, holder, key) : ABSENT
        if (value === ABSENT) delete raw[key]
        else setOwn(raw, key, value)
      }
      continue
    }
    for (let index = 0; index < raw.length; index++) {
      const value = convertAt(state, adoption, holder, index)
      raw[index] = value === ABSENT ? null : value
    }
  }
  // Somebody may have a proxy of what has been taken out again.
  for (const node of tree.uncopiedNodes) {
    try {
      if (node.uncopied) adoption.convert(node.raw, node, '')
    } catch {
      // It is in no document. Where it is put into one it is looked at again.
    }
  }
  tree.uncopiedNodes = []
  state.rawObjects.replaceItemsByCopies(adoption.copies)
  tree.assignments.clear()
}

function convertAt<A extends object>(state: DocumentState<A>, adoption: ValueImport<A>, holder: Node, key: Key): unknown {
  const value = (holder.raw as Dict)[key]
  // What is not the application's is as it has to be.
  if (isContainer(value) && !state.tree.assignments.has(value)) return value
  const by = isObject(value) ? state.tree.assignments.get(value) : undefined
  const author = by?.author as A | undefined
  let taken: unknown = ABSENT
  try {
    taken = adoption.convert(value, holder, key)
    for (const { error, path } of adoption.omissions) state.reportProblem(error, holder, path, author, by?.write)
  } catch (error) {
    state.reportProblem(error, holder, [key], author, by?.write)
  }
  return taken
}

/**
 * JSON has no aliases: of the places of a node in the document one stays it, every other gets its own copy. Where the base has
 * it is the place to stay, or its before-image would be lost with a failed save.
 */
export function splitAliases<A extends object>(state: DocumentState<A>): void {
  const { aliased: shared } = state.tree
  if (!shared) return
  const places = new ChildKeys()
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
    node.mayBeAliased = false
    node.parents = stays ? [stays[0], ...removed] : removed
    node.lastKey = stays ? stays[1] : ''
  }
  state.tree.aliased = undefined
}

function wasAt<A extends object>(state: DocumentState<A>, parent: Node, key: string, node: Node): boolean {
  if (isList(parent.raw)) return (state.journal.itemsBefore(parent.raw) ?? parent.raw).includes(node.raw)
  return state.base.get(parent.raw, key) === node.raw
}
