import { Adoption } from './adopt.js'
import { type Dict, isBox, isList, type List, own, refill } from './json.js'
import type { Node } from './node.js'
import { notStorable } from './problem.js'
import type { Watch } from './sources.js'
import { define, type State } from './state.js'

/**
 * Sets a property of a container of the tree.
 *
 * @param watch the watch that raw objects join, see {@link Adoption}
 * @throws SharedSessionError `NOT_STORABLE`
 */
export function assign<A extends object>(
  state: State<A>,
  node: Node,
  key: string,
  value: unknown,
  author?: A,
  watch?: Watch<A> | null,
): void {
  const { raw } = node
  if (isList(raw)) {
    if (key === 'length') {
      resize(state, node, raw, value as number, author)
      return
    }
    if (!isIndex(key)) {
      throw notStorable([...state.tree.pathOf(node), key], 'JSON would lose a named property of an array; use an object')
    }
  }
  const index = isList(raw) ? Number(key) : key
  const adoption = isPlainScalar(value) ? undefined : new Adoption(state, node, author, watch)
  const taken = adoption ? adoption.take(value, index) : value
  if (own(raw, key) && Object.is((raw as Dict)[key], taken)) return
  state.journal.record(node, key, author)
  if (isList(raw) && Number(index) > raw.length) state.guests.note(raw)
  define(raw as Dict, key, taken)
  adoption?.commit()
  const child = isBox(taken) ? state.tree.find(taken) : undefined
  if (child) state.link(child, node, key)
  state.written(author)
}

/** Removes a property of a container of the tree; of an array, this leaves a hole. */
export function remove<A extends object>(state: State<A>, node: Node, key: string, author?: A): void {
  const { raw } = node
  state.journal.record(node, key, author)
  if (isList(raw)) state.guests.note(raw)
  delete (raw as Dict)[key]
  state.written(author)
}

/** Replaces the content of an array by values that the tree holds already or that are plain JSON made for it. */
export function replaceItems<A extends object>(state: State<A>, node: Node, items: List, author?: A): void {
  const list = node.raw as List
  if (items.length === list.length && items.every((item, index) => item === list[index])) return
  state.journal.record(node, '', author)
  refill(list, items)
  linkItems(state, node, items)
  state.written(author)
}

/** Links what came into an array from elsewhere. */
export function linkItems<A extends object>(state: State<A>, node: Node, items: Iterable<unknown>): void {
  for (const item of items) {
    const child = state.tree.find(item)
    if (child && !child.parents.includes(node)) state.link(child, node, '')
  }
}

function resize<A extends object>(state: State<A>, node: Node, list: List, length: number, author: A | undefined): void {
  if (list.length === length) return
  state.journal.record(node, 'length', author)
  if (length > list.length) state.guests.note(list)
  list.length = length
  state.written(author)
}

/** What JSON holds as it is: most writes are of these, and nothing is to be taken in. */
function isPlainScalar(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0)
  return typeof value === 'string' || typeof value === 'boolean' || value === null
}

const isIndex = (key: string): boolean => String(Number(key) >>> 0) === key
