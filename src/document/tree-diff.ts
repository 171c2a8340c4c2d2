import { ABSENT, type Container, type Dict, hasOwn, isList, keysOf, type List, sameKind } from './json.js'
import { type ElementMatch, matchElements, PLAIN_TREE, type TreeView } from './match-elements.js'

/**
 * What differs between two trees, found in one walk: whoever needs it, to tell it or to take it in, then looks only at what differs.
 * Holds as long as the view of the older tree does not change.
 */
export class TreeDiff {
  private readonly different = new Set<Container>()
  private readonly matches = new Map<List, ElementMatch>()

  constructor(
    readonly older: Dict,
    readonly newer: Dict,
    readonly view: TreeView = PLAIN_TREE,
  ) {
    this.compareDicts(older, newer)
  }

  /** Does a container of the older tree differ from what is in its place? Compared are those whose place has a container of their kind. */
  differs(older: Container): boolean {
    return this.different.has(older)
  }

  /** Where the elements of an array that differs went. */
  matchOf(older: List): ElementMatch | undefined {
    return this.matches.get(older)
  }

  private compareDicts(older: Dict, newer: Dict): void {
    const keys = this.view.keys(older)
    const names = keysOf(newer)
    let different = keys.length !== names.length
    for (const [index, key] of keys.entries()) {
      // Mostly both have the same order.
      const was = this.view.get(older, key)
      const is = names[index] === key || hasOwn(newer, key) ? newer[key] : ABSENT
      if (this.isChanged(was, is)) different = true
    }
    if (different) this.different.add(older)
  }

  private compareLists(older: List, newer: List): void {
    const items = this.view.items(older)
    const alignment = matchElements(items, newer, this.view)
    if (!alignment) return
    this.different.add(older)
    this.matches.set(older, alignment)
    for (const to of alignment.edited) this.isChanged(items[alignment.match[to] as number], newer[to])
  }

  private isChanged(was: unknown, is: unknown): boolean {
    if (was === is) return false
    if (!sameKind(was, is)) return true
    const older = was as Container
    if (isList(older)) this.compareLists(older, is as List)
    else this.compareDicts(older, is as Dict)
    return this.different.has(older)
  }
}
