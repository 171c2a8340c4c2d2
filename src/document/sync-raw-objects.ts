import { diffArrays } from './array-diff.js'
import { Admission } from './assigned-value.js'
import { tooSparse } from './errors.js'
import { hasOwn, isList, type Key, type List } from './json.js'
import { mergeArrays } from './merge-arrays.js'
import type { Node } from './node.js'
import type { RawObject, WatchGroup } from './raw-objects.js'
import type { State } from './state.js'
import { assign, remove, replaceItems } from './write.js'

/**
 * Folds into the tree what was done to objects that the application assigned before the last settling. What cannot be stored is reported,
 * and left out; an object that cannot be read is reported, and let go.
 */
export function syncRawObjects<A extends object>(state: State<A>): void {
  const { sources } = state
  if (sources.isEmpty) return
  for (const watch of sources.all()) {
    for (const source of watch.sources) {
      const raw = source.ref.deref()
      if (raw === undefined) continue
      const node = state.tree.node(source.copy)
      try {
        foldOne(state, node, source, raw, watch)
      } catch (error) {
        sources.stop(watch)
        state.problem(error, node, [], watch.author)
        break
      }
    }
  }
  sources.trim()
}

function foldOne<A extends object>(state: State<A>, node: Node, source: RawObject, raw: object, watch: WatchGroup<A>): void {
  if (isList(raw) && !state.fits(raw.length - source.seen.size)) throw tooSparse([])
  const now = state.sources.look(raw)
  if (sameContent(source.seen, now)) return
  if (isList(node.raw)) foldList(state, node, source, raw as List, now, watch)
  else foldDict(state, node, source, raw as Record<Key, unknown>, now, watch)
  source.seen = now
}

function sameContent(before: Map<Key, unknown>, now: Map<Key, unknown>): boolean {
  if (before.size !== now.size) return false
  for (const [key, token] of now) if (!Object.is(before.get(key), token) || !before.has(key)) return false
  return true
}

function foldDict<A extends object>(
  state: State<A>,
  node: Node,
  { seen }: RawObject,
  raw: Record<Key, unknown>,
  now: Map<Key, unknown>,
  { author }: WatchGroup<A>,
): void {
  for (const key of seen.keys()) {
    if (!now.has(key) && hasOwn(node.raw, key)) remove(state, node, String(key), author)
  }
  for (const [key, token] of now) {
    if (seen.has(key) && Object.is(seen.get(key), token)) continue
    try {
      assign(state, node, String(key), raw[key], author)
    } catch (error) {
      state.problem(error, node, [key], author)
    }
  }
}

function foldList<A extends object>(
  state: State<A>,
  node: Node,
  source: RawObject,
  raw: List,
  now: Map<Key, unknown>,
  { author }: WatchGroup<A>,
): void {
  const admission = new Admission(state, node, author)
  const match: number[] = []
  const items: unknown[] = []
  let from = 0
  let at = 0
  for (const { removed, added, kept } of diffArrays([...source.seen.values()], [...now.values()])) {
    for (let i = 0; i < added; i++, at++) {
      try {
        items.push(admission.take(raw[at], at))
        match.push(-1)
      } catch (error) {
        state.problem(error, node, [at], author)
      }
    }
    from += removed
    for (let i = 0; i < kept; i++, from++, at++) {
      match.push(from)
      items.push(source.items[from])
    }
  }
  replaceItems(state, node, mergeArrays(source.items, node.raw as List, items, match).items, author)
  admission.commit()
  source.items = items
}
