import { type Alignment, AS_IT_IS, align, type View } from './align.js'
import { ABSENT, type Box, type Dict, isList, keysOf, type List, own, sameKind } from './json.js'

/**
 * What differs between two trees, found in one walk: whoever needs it, to tell it or to take it in, then looks only at what differs.
 * Holds as long as the view of the older tree does not change.
 */
export class Comparison {
  private readonly different = new Set<Box>()
  private readonly alignments = new Map<List, Alignment>()

  constructor(
    readonly older: Dict,
    readonly newer: Dict,
    readonly view: View = AS_IT_IS,
  ) {
    this.dict(older, newer)
  }

  /** Does a container of the older tree differ from what is in its place? Compared are those whose place has a container of their kind. */
  differs(older: Box): boolean {
    return this.different.has(older)
  }

  /** Where the elements of an array that differs went. */
  alignment(older: List): Alignment | undefined {
    return this.alignments.get(older)
  }

  private dict(older: Dict, newer: Dict): void {
    const keys = this.view.keys(older)
    const names = keysOf(newer)
    let different = keys.length !== names.length
    for (const [index, key] of keys.entries()) {
      // Mostly both have the same order.
      const was = this.view.get(older, key)
      const is = names[index] === key || own(newer, key) ? newer[key] : ABSENT
      if (this.isChanged(was, is)) different = true
    }
    if (different) this.different.add(older)
  }

  private list(older: List, newer: List): void {
    const items = this.view.items(older)
    const alignment = align(items, newer, this.view)
    if (!alignment) return
    this.different.add(older)
    this.alignments.set(older, alignment)
    for (const to of alignment.edited) this.isChanged(items[alignment.match[to] as number], newer[to])
  }

  private isChanged(was: unknown, is: unknown): boolean {
    if (was === is) return false
    if (!sameKind(was, is)) return true
    const older = was as Box
    if (isList(older)) this.list(older, is as List)
    else this.dict(older, is as Dict)
    return this.different.has(older)
  }
}
