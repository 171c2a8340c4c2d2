import { Adoption } from './adopt.js'
import { mergeItems } from './items.js'
import { isList, type Key, type List, own } from './json.js'
import type { Node } from './node.js'
import { script } from './script.js'
import type { Source, Watch } from './sources.js'
import type { State } from './state.js'
import { assign, remove, replaceItems } from './write.js'

/**
 * Folds into the tree what was done to the raw objects under watch since the last look. One that can no longer be stored, or
 * whose getter throws, is reported and let go.
 */
export function fold<A extends object>(state: State<A>): void {
  const { sources } = state
  if (sources.isEmpty) return
  for (const watch of sources.all()) {
    // Folding may add sources to the watch: what was put into a watched object is watched as well.
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

function foldOne<A extends object>(state: State<A>, node: Node, source: Source, raw: object, watch: Watch<A>): void {
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
  { seen }: Source,
  raw: Record<Key, unknown>,
  now: Map<Key, unknown>,
  watch: Watch<A>,
): void {
  for (const key of seen.keys()) {
    if (!now.has(key) && own(node.raw, key)) remove(state, node, String(key), watch.author)
  }
  for (const [key, token] of now) {
    if (!seen.has(key) || !Object.is(seen.get(key), token)) assign(state, node, String(key), raw[key], watch.author, watch)
  }
}

function foldList<A extends object>(
  state: State<A>,
  node: Node,
  source: Source,
  raw: List,
  now: Map<Key, unknown>,
  watch: Watch<A>,
): void {
  const adoption = new Adoption(state, node, watch.author, watch)
  const match: number[] = []
  const items: unknown[] = []
  let from = 0
  for (const { removed, added, kept } of script([...source.seen.values()], [...now.values()])) {
    for (let i = 0; i < added; i++) {
      match.push(-1)
      items.push(adoption.take(raw[items.length], items.length))
    }
    from += removed
    for (let i = 0; i < kept; i++, from++) {
      match.push(from)
      items.push(source.items[from])
    }
  }
  replaceItems(state, node, mergeItems(source.items, node.raw as List, items, match).items, watch.author)
  adoption.commit()
  source.items = items
}
