import type { SharedSessionError } from '../errors.js'
import { PatchCollector } from './changes.js'
import type { Conflict } from './conflict.js'
import { DocumentState } from './document-state.js'
import { clone, type JsonObject } from './json.js'
import type { Patch } from './patch.js'
import { Rebase } from './rebase.js'
import { reconcile } from './reconcile.js'
import type { StrategyTable } from './strategy-table.js'

export interface Merged {
  data: JsonObject
  /** From `theirs` to the merged data. */
  patches: Patch[]
  conflicts: Conflict[]
  /** Merge functions that failed. */
  problems: SharedSessionError[]
}

/**
 * Three-way merge for writers whose changes were not recorded, such as HTTP requests: what differs between `base` and `mine` is
 * replayed on the base, elements of arrays found again by identity, and `theirs` is merged into that.
 */
export function merge(base: JsonObject, mine: JsonObject, theirs: JsonObject, rules?: StrategyTable): Merged {
  const state = new DocumentState(clone(base), { strategies: rules })
  reconcile(state, state.tree.root, mine)
  const { conflicts, problems } = new Rebase(state, state.diffFromBase(theirs))
  const { patches } = new PatchCollector(state)
  return { data: state.nonJson.dictToJson(state.root), patches, conflicts, problems }
}
