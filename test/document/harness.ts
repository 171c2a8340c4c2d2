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
  /** The root proxy of one author. */
  session: Any
  /** Takes the changes, as a save does, and checks that the patches lead from what was stored to what is live, for immer too. */
  takeChanges(): TakenChanges
  /** The patches of {@link takeChanges}. */
  flush(): Patch[]
  /** Rebases on `theirs`, and checks that the patches lead there from what was stored. */
  rebase(theirs: Any): { patches: Patch[]; conflicts: Conflict[] }
  /** A snapshot of the live document. */
  live(): Any
  /** The errors that the document reported since the last call. */
  problems(): SharedSessionError[]
}

/** A document with a model of the store beside it. */
export function open(data: Any = shop(), options: TrackedDocumentOptions<object> = {}): TestDocument {
  let stored: JsonObject = plain(data)
  const problems: SharedSessionError[] = []
  const document = new TrackedDocument(data as JsonObject, { onProblem: (error) => problems.push(error), ...options })
  const store = (patches: Patch[], to: JsonObject): void => {
    const wire = plain(patches) as Any
    // immer refuses paths with these names, which are ordinary keys here.
    const isRefused = patches.some(({ path }) => path.includes('constructor') || path.includes('prototype'))
    if (!isRefused) expect(applyPatches(stored, wire)).toEqual(to)
    expect(apply(plain(stored), wire)).toEqual(to)
    stored = plain(to)
    expect(document.base()).toEqual(stored)
  }
  const takeChanges = () => {
    const taken = document.takeChanges()
    expect(taken.by).toHaveLength(taken.patches.length)
    store(taken.patches, document.snapshot())
    expect(document.mayHaveChanges).toBe(false)
    return taken
  }
  return {
    document,
    session: document.view({}),
    takeChanges,
    flush: () => takeChanges().patches,
    rebase: (theirs) => {
      const result = document.rebase(theirs)
      store(result.patches, plain(theirs))
      return result
    },
    live: () => document.snapshot(),
    problems: () => problems.splice(0),
  }
}
