import { type DocumentState, setOwn } from './document-state.js'
import { ABSENT, type Dict, isContainer, isList, type List, replaceContents } from './json.js'
import { linkItems } from './write.js'

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
