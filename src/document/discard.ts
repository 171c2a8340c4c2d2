import { ABSENT, type Dict, isContainer, isList, type List, replaceContents } from './json.js'
import { define, type State } from './state.js'
import { linkItems } from './write.js'

/** Puts every before-image back, so that the live tree is the base again. References that are held stay valid. */
export function discard<A extends object>(state: State<A>): void {
  for (const [raw, { keys, list }] of state.journal.take() ?? []) {
    if (!(keys ?? list)) continue
    const node = state.tree.node(raw)
    if (isList(raw)) {
      replaceContents(raw, list?.was as List)
      linkItems(state, node, raw)
      continue
    }
    for (const [key, { was: value }] of keys ?? []) {
      if (value === ABSENT) delete raw[key]
      else define(raw as Dict, key, value)
      const child = isContainer(value) ? state.tree.find(value) : undefined
      if (child) state.link(child, node, key)
    }
  }
}
