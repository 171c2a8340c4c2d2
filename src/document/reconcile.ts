import { Comparison } from './comparison.js'
import type { DocumentState } from './document-state.js'
import {
  ABSENT,
  type Container,
  clone,
  type Dict,
  isContainer,
  isList,
  keysOf,
  type List,
  replaceContents,
  sameKind,
  setOwn,
} from './json.js'
import type { Node } from './tree.js'
import { matchElements } from './tree-diff.js'
import { assign, linkItems, remove, replaceItems } from './write.js'

/**
 * Makes a container of the live tree equal to `next`, by writes without an author. The tree must be normalized. Containers that can be matched
 * stay the same objects: an element that moved within an array is moved, not removed and added.
 */
export function reconcile(state: DocumentState, node: Node, next: Container, comparison?: Comparison): void {
  const { raw } = node
  if (isList(raw)) reconcileList(state, node, raw, next as List, comparison)
  else reconcileDict(state, node, raw, next as Dict, comparison)
}

function reconcileDict(state: DocumentState, node: Node, raw: Dict, next: Dict, comparison?: Comparison): void {
  for (const key of keysOf(raw)) if (!Object.hasOwn(next, key)) remove(state, node, key)
  for (const key of keysOf(next)) {
    const live = Object.hasOwn(raw, key) ? raw[key] : undefined
    if (sameKind(live, next[key])) {
      reconcile(state, state.tree.childNode(live as Container, node, key), next[key] as Container, comparison)
    } else assign(state, node, key, clone(next[key]), undefined, true)
  }
}

function reconcileList(state: DocumentState, node: Node, list: List, next: List, known?: Comparison): void {
  // A container is changed after it was compared. Only one that is at another place as well would be compared once more.
  const comparison = state.tree.aliased ? undefined : (known ?? new Comparison())
  const match = matchElements(list, next, comparison)?.match
  // Equal arrays are not walked: each level would compare all levels below it again.
  if (!match) return
  const items = next.map((nextItem, to) => {
    const live = list[match[to] as number]
    if (!sameKind(live, nextItem)) return clone(nextItem)
    reconcile(state, state.tree.childNode(live as Container, node, ''), nextItem as Container, comparison)
    return live
  })
  replaceItems(state, node, items)
}

/** Puts every before-image back, so that the live tree equals the base again. References that the application holds stay valid. */
export function restoreBase(state: DocumentState): void {
  for (const [raw, { keys, list }] of state.journal.take() ?? []) {
    if (!(keys ?? list)) continue
    const node = state.tree.nodeOf(raw)
    if (isList(raw)) {
      replaceContents(raw, list?.before as List)
      linkItems(state, node, raw)
      continue
    }
    for (const [key, { before }] of keys ?? []) {
      if (before === ABSENT) delete raw[key]
      else setOwn(raw as Dict, key, before)
      const child = isContainer(before) ? state.tree.find(before) : undefined
      if (child) state.link(child, node, key)
    }
  }
}
