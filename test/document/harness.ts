import { applyPatches, enablePatches, setAutoFreeze } from 'immer'
import { expect } from 'vitest'
import type { JsonObject } from '../../src/document/json.js'
import { apply, type Patch } from '../../src/document/patch.js'
import {
  type Conflict,
  type TakenChanges,
  TrackedDocument,
  type TrackedDocumentOptions,
} from '../../src/document/tracked-document.js'
import type { SharedSessionError } from '../../src/errors.js'

enablePatches()
setAutoFreeze(false)

export type Any = any

export const plain = <T>(value: T): T => JSON.parse(JSON.stringify(value))

export const shop = (): Any => ({
  n: 1,
  cart: {
    items: [
      { id: 1, q: 1 },
      { id: 2, q: 1 },
      { id: 3, q: 1 },
    ],
    total: 0,
  },
  user: { name: 'a', tags: ['x', 'y'] },
  list: [1, 2, 3],
})

export interface TestDocument {
  document: TrackedDocument
  session: Any
  /** Collects, and shows that the patches lead from what was stored to what is live, for immer too. */
  takeChanges(): TakenChanges<object>
  flush(): Patch[]
  rebase(theirs: Any): { patches: Patch[]; conflicts: Conflict[] }
  live(): Any
  /** What the ledger has told of since it was asked last. */
  problems(): SharedSessionError[]
}

/** A ledger with a model of the store beside it. */
export function open(data: Any = shop(), options: TrackedDocumentOptions<object> = {}): TestDocument {
  let stored: JsonObject = plain(data)
  const told: SharedSessionError[] = []
  const ledger = new TrackedDocument(data as JsonObject, { onProblem: (error) => told.push(error), ...options })
  const check = (patches: Patch[], to: JsonObject): void => {
    const wire = plain(patches) as Any
    // immer refuses these names as path segments, where they are but keys.
    const refused = patches.some(({ path }) => path.includes('constructor') || path.includes('prototype'))
    if (!refused) expect(applyPatches(stored, wire)).toEqual(to)
    expect(apply(plain(stored), wire)).toEqual(to)
    stored = plain(to)
    expect(ledger.base()).toEqual(stored)
  }
  const collect = () => {
    const collected = ledger.takeChanges()
    expect(collected.by).toHaveLength(collected.patches.length)
    check(collected.patches, ledger.snapshot())
    expect(ledger.mayHaveChanges).toBe(false)
    return collected
  }
  return {
    document: ledger,
    session: ledger.view({}),
    takeChanges: collect,
    flush: () => collect().patches,
    rebase: (theirs) => {
      const absorbed = ledger.rebase(theirs)
      check(absorbed.patches, plain(theirs))
      return absorbed
    },
    live: () => ledger.snapshot(),
    problems: () => told.splice(0),
  }
}
