import { type DocumentState, setOwn } from './document-state.js'
import {
  ABSENT,
  type Container,
  clone,
  type Dict,
  hasOwn,
  isContainer,
  isList,
  keysOf,
  type List,
  replaceContents,
  sameKind,
} from './json.js'
import type { Node } from './tree.js'
import { matchElements } from './tree-diff.js'
import { assign, linkItems, remove, replaceItems } from './write.js'

/**
 * Makes `next` of a container of the live tree, which is settled, as writes of this side, and keeps what can be found again the same objects: an
 * element that moved in an array moves, instead of being removed and added.
 */
export function reconcile<A extends object>(state: DocumentState<A>, node: Node, next: Container): void {
  const { raw } = node
  if (isList(raw)) reconcileList(state, node, raw, next as List)
  else reconcileDict(state, node, raw, next as Dict)
}

function reconcileDict<A extends object>(state: DocumentState<A>, node: Node, raw: Dict, next: Dict): void {
  for (const key of keysOf(raw)) if (!hasOwn(next, key)) remove(state, node, key)
  for (const key of keysOf(next)) {
    const live = hasOwn(raw, key) ? raw[key] : undefined
    if (sameKind(live, next[key])) reconcile(state, state.tree.childNode(live as Container, node, key), next[key] as Container)
    else assign(state, node, key, clone(next[key]), undefined, null)
  }
}

function reconcileList<A extends object>(state: DocumentState<A>, node: Node, list: List, next: List): void {
  const match = matchElements(list, next)?.match
  // Equal: whoever looked at each level of it again would look at what is at the bottom as many times as there are levels.
  if (!match) return
  const items = next.map((_, to) => {
    const live = list[match[to] as number]
    if (!sameKind(live, next[to])) return clone(next[to])
    reconcile(state, state.tree.childNode(live as Container, node, ''), next[to] as Container)
    return live
  })
  replaceItems(state, node, items)
}

/** Puts every before-image back, so that the live tree is the base again. References that are held stay valid. */
export function discard<A extends object>(state: DocumentState<A>): void {
  for (const [raw, { keys, list }] of state.journal.take() ?? []) {
    if (!(keys ?? list)) continue
    const node = state.tree.nodeOf(raw)
    if (isList(raw)) {
      replaceContents(raw, list?.before as List)
      linkItems(state, node, raw)
      continue
    }
    for (const [key, { before: value }] of keys ?? []) {
      if (value === ABSENT) delete raw[key]
      else setOwn(raw as Dict, key, value)
      const child = isContainer(value) ? state.tree.find(value) : undefined
      if (child) state.link(child, node, key)
    }
  }
}
