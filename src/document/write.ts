import { AssignedValues } from './assigned-value.js'
import { type DocumentState, setOwn } from './document-state.js'
import { NotJsonError, tooSparse } from './errors.js'
import { type Container, type Dict, hasOwn, isContainer, isList, type List, replaceContents } from './json.js'
import { ChildKeys, type Node } from './node.js'

/**
 * Sets a property of a container of the tree.
 *
 * @param made `null`: the value is JSON that was made for the tree
 * @throws for what cannot be stored; then nothing has changed
 */
export function assign<A extends object>(
  state: DocumentState<A>,
  node: Node,
  key: string,
  value: unknown,
  author?: A,
  made?: null,
): void {
  const raw = writableContainer(state, node)
  if (isList(raw)) {
    if (key === 'length') {
      resize(state, node, raw, typeof value === 'symbol' ? Number.NaN : Number(value), author)
      return
    }
    if (!isIndex(key)) throw new NotJsonError([key], 'JSON would lose a named property of an array; use an object')
  }
  const index = isList(raw) ? Number(key) : key
  const admission = made === null || isPlainScalar(value) ? undefined : new AssignedValues(state, node, author)
  const taken = admission ? admission.check(value, index) : value
  if (hasOwn(raw, key) && Object.is((raw as Dict)[key], taken)) return
  if (isList(raw)) countHoles(state, node, Number(index) - raw.length, Number(index))
  state.journal.record(node, key, author)
  setOwn(raw as Dict, key, taken)
  admission?.commit(key)
  const child = isContainer(taken) ? state.tree.find(taken) : undefined
  if (child) state.link(child, node, key)
  state.countWrite(author)
}

/** Removes a property of a container of the tree; of an array, this leaves a hole. */
export function remove<A extends object>(state: DocumentState<A>, node: Node, key: string, author?: A): void {
  const raw = writableContainer(state, node)
  state.journal.record(node, key, author)
  if (isList(raw)) markHoles(state, node)
  delete (raw as Dict)[key]
  state.countWrite(author)
}

/** Replaces the content of an array by values that the tree holds already or that are plain JSON made for it. */
export function replaceItems<A extends object>(state: DocumentState<A>, node: Node, items: List, author?: A): void {
  const list = writableContainer(state, node) as List
  if (items.length === list.length && items.every((item, index) => item === list[index])) return
  state.journal.record(node, '', author)
  replaceContents(list, items)
  linkItems(state, node, items)
  state.countWrite(author)
}

/** Links what came into an array from elsewhere. */
export function linkItems<A extends object>(state: DocumentState<A>, node: Node, items: Iterable<unknown>): void {
  for (const item of items) {
    const child = state.tree.find(item)
    if (child && !child.parents.includes(node)) state.link(child, node, '')
  }
}

/**
 * What a node's content is written to. An object of the application may be frozen, as session data never is: then a copy takes its place.
 */
export function writableContainer<A extends object>(state: DocumentState<A>, node: Node): Container {
  const { raw } = node
  if (!node.uncopied || Object.isExtensible(raw)) return raw
  const copy = isList(raw) ? raw.slice() : { ...raw }
  for (const parent of node.parents) {
    const keys = new ChildKeys().of(parent, node)
    if (keys.length === 0) continue
    const holder = writableContainer(state, parent) as Dict
    for (const key of keys) holder[key] = copy
  }
  const { tree, nonJson: guests } = state
  tree.replaceByCopy(node, copy)
  node.uncopied = true
  const by = tree.assignments.get(raw)
  if (by) tree.assignments.set(copy, by)
  guests.checked.add(copy)
  return copy
}

function resize<A extends object>(state: DocumentState<A>, node: Node, list: List, length: number, author: A | undefined): void {
  if (list.length === length) return
  if (!(length >= 0 && length < 2 ** 32 && Number.isInteger(length))) throw new NotJsonError(['length'], 'no length of an array')
  countHoles(state, node, length - list.length, 'length')
  state.journal.record(node, 'length', author)
  list.length = length
  state.countWrite(author)
}

/** @throws Refusal where there would be too many */
function countHoles<A extends object>(state: DocumentState<A>, node: Node, holes: number, key: string | number): void {
  if (holes <= 0) return
  if (!state.hasRoomForHoles(holes)) throw tooSparse([key])
  if (!node.uncopied) state.unsavedHoles += holes
  markHoles(state, node)
}

function markHoles<A extends object>(state: DocumentState<A>, node: Node): void {
  // An object of the application is looked at as a whole.
  if (!node.uncopied) state.nonJson.add(node.raw)
}

/** What JSON holds as it is: most writes are of these, and nothing is to be taken in. */
function isPlainScalar(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0)
  return typeof value === 'string' || typeof value === 'boolean' || value === null
}

const isIndex = (key: string): boolean => String(Number(key) >>> 0) === key
