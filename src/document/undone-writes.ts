import type { DocumentState } from './document-state.js'
import { type Container, type Dict, equal, isContainer, isList } from './json.js'
import type { Patch } from './patch.js'

/*
 * A write may put back what the base has, or assign it once more. It is no change then. Where the base was wrong, and others have something else at
 * the place, such a write is lost with it.
 */

/**
 * Who has made such writes.
 * @param patches from the base to what others have
 */
export function authorsOfUndone(state: DocumentState, patches: readonly Patch[]): Set<object> {
  const undone = new Set<object>()
  if (state.journal.isEmpty) return undone
  const base = state.baseToJson()
  const live = state.nonJson.dictToJson(state.root)
  for (const { path } of patches) {
    const authors = new Set<object>()
    let place: Container | undefined = state.root
    let values: [unknown, unknown] = [base, live]
    for (const key of path) {
      if (!place) break
      for (const author of state.journal.authorsOf(place, String(key))) authors.add(author)
      // The elements of an array that was written to have other indexes than in the base.
      if (isList(place) && state.journal.itemsBefore(place)) break
      const value: unknown = Object.hasOwn(place, key) ? (place as Dict)[key] : undefined
      place = isContainer(value) ? value : undefined
      values = [valueAt(values[0], key), valueAt(values[1], key)]
    }
    if (place) addAuthorsWithin(state, place, authors)
    const [was, is] = values
    if (authors.size > 0 && (was === is || equal(was, is))) for (const author of authors) undone.add(author)
  }
  return undone
}

function addAuthorsWithin(state: DocumentState, raw: Container, authors: Set<object>): void {
  for (const author of state.journal.allAuthorsOf(raw)) authors.add(author)
  for (const value of Object.values(raw)) {
    if (isContainer(value) && state.journal.isChangedWithin(value)) addAuthorsWithin(state, value, authors)
  }
}

function valueAt(value: unknown, key: string | number): unknown {
  return isContainer(value) && Object.hasOwn(value, key) ? (value as Dict)[key] : undefined
}
