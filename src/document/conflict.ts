import type { Path } from './json.js'

/** Two writers changed the same place. */
export interface Conflict {
  path: Path
  /**
   * `both-set`: both changed this value. `deleted-under-edit`: one removed what the other changed inside. `orphan-write`: something was
   * written, through a reference still held, to what another writer had removed.
   */
  kind: 'both-set' | 'deleted-under-edit' | 'orphan-write'
  /** The value both started from; `undefined` where there was none, as for the others. */
  base?: unknown
  mine?: unknown
  theirs?: unknown
  won: 'mine' | 'theirs'
}
