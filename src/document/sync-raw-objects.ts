import { diffArrays } from './array-diff.js'
import type { DocumentState } from './document-state.js'
import { tooSparse } from './errors.js'
import { hasOwn, isList, type Key, type List } from './json.js'
import { mergeArrays } from './merge-arrays.js'
import type { RawObject, WatchGroup } from './raw-objects.js'
import type { Node } from './tree.js'
import { AssignedValues, assign, remove, replaceItems } from './write.js'

/**
 * Folds into the tree what was done to objects that the application assigned before the last settling. What cannot be stored is reported,
 * and left out; an object that cannot be read is reported, and let go.
 */
export function syncRawObjects<A extends object>(state: DocumentState<A>): void {
  const { rawObjects: sources } = state
  if (sources.isEmpty) return
  for (const watch of sources.all()) {
    for (const source of watch.objects) {
      const raw = source.ref.deref()
      if (raw === undefined) continue
      const node = state.tree.nodeOf(source.copy)
      try {
        syncObject(state, node, source, raw, watch)
      } catch (error) {
        sources.unwatch(watch)
        state.reportProblem(error, node, [], watch.author)
        break
      }
    }
  }
  sources.trim()
}

function syncObject<A extends object>(
  state: DocumentState<A>,
  node: Node,
  source: RawObject,
  raw: object,
  watch: WatchGroup<A>,
): void {
  if (isList(raw) && !state.hasRoomForHoles(raw.length - source.lastContent.size)) throw tooSparse([])
  const now = state.rawObjects.contentOf(raw)
  if (sameContent(source.lastContent, now)) return
  if (isList(node.raw)) syncItems(state, node, source, raw as List, now, watch)
  else syncProperties(state, node, source, raw as Record<Key, unknown>, now, watch)
  source.lastContent = now
}

function sameContent(before: Map<Key, unknown>, now: Map<Key, unknown>): boolean {
  if (before.size !== now.size) return false
  for (const [key, token] of now) if (!Object.is(before.get(key), token) || !before.has(key)) return false
  return true
}

function syncProperties<A extends object>(
  state: DocumentState<A>,
  node: Node,
  { lastContent: seen }: RawObject,
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
      state.reportProblem(error, node, [key], author)
    }
  }
}

function syncItems<A extends object>(
  state: DocumentState<A>,
  node: Node,
  source: RawObject,
  raw: List,
  now: Map<Key, unknown>,
  { author }: WatchGroup<A>,
): void {
  const admission = new AssignedValues(state, node, author)
  const match: number[] = []
  const items: unknown[] = []
  let from = 0
  let at = 0
  for (const { removed, added, kept } of diffArrays([...source.lastContent.values()], [...now.values()])) {
    for (let i = 0; i < added; i++, at++) {
      try {
        items.push(admission.check(raw[at], at))
        match.push(-1)
      } catch (error) {
        state.reportProblem(error, node, [at], author)
      }
    }
    from += removed
    for (let i = 0; i < kept; i++, from++, at++) {
      match.push(from)
      items.push(source.lastItems[from])
    }
  }
  replaceItems(state, node, mergeArrays(source.lastItems, node.raw as List, items, match).items, author)
  admission.commit()
  source.lastItems = items
}
