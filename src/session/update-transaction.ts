import type { SessionData } from 'express-session'
import type { Immer } from 'immer'
import { debug, errorLabel } from '../debug.js'
import { reservedKey, toNotStorable } from '../document/errors.js'
import { clone, equal, isContainer, isList, type JsonObject } from '../document/json.js'
import { type MergeResult, merge } from '../document/merge.js'
import type { StrategyTable } from '../document/merge-strategy.js'
import { apply, diff, type Patch } from '../document/patch.js'
import { toJson } from '../document/to-json.js'
import { SharedSessionError } from '../errors.js'
import type { Committer } from '../store/committer.js'
import { entriesAfter, parseEntries } from '../store/data-text.js'
import type { MergeBases } from '../store/merge-bases.js'
import type { Moment } from '../store/session-clock.js'
import { Snapshot } from '../store/snapshot.js'
import type { Proposal, Transaction } from '../store/transaction.js'
import { loadImmer } from '../util/lazy-modules.js'
import { isThenable } from '../util/promises.js'
import { assertSize, refusedByStore, storeError } from './errors.js'
import { isReservedName } from './reserved-names.js'

/** An immer recipe over a session's data. */
export type Recipe = (draft: JsonObject) => unknown

// An instance of our own: the module's setters would change the application's immer.
let immer: Immer | undefined

/** What an `update()` has made of a session. */
export interface UpdateResult {
  snapshot: Snapshot
  /** Its data once more, for the caller: nobody else has this object. */
  data: JsonObject
}

/**
 * The transaction of one `update()`: its recipe runs on what the store holds at the moment of the commit. Its `rebase` throws what the recipe
 * throws, `BAD_ARGUMENT` for a recipe that is async or returns no session data, `RESERVED_KEY`, `NOT_STORABLE` and `TOO_LARGE`.
 *
 * A class, for the reason that `RequestTransaction` is one.
 */
export class UpdateTransaction implements Transaction {
  readonly origin = 'update'
  readonly #isStored: () => boolean
  readonly #recipe: Recipe
  readonly #options: { maxBytes: number; prototype: object }
  #result: UpdateResult | undefined
  #failure: { error: unknown } | undefined

  /**
   * @param isStored whether the session is known to have been in the store
   * @param options `prototype`: express-session's `Session.prototype`
   */
  constructor(recipe: Recipe, isStored: () => boolean, options: { maxBytes: number; prototype: object }) {
    this.#recipe = recipe
    this.#isStored = isStored
    this.#options = options
  }

  get mustExist(): boolean {
    return this.#isStored()
  }

  /** The resulting session; `undefined` where the store had none. */
  get result(): UpdateResult | undefined {
    return this.#result
  }

  /** Did `rebase` throw this error? Then the recipe has failed, not the store. */
  isRecipeError(error: unknown): boolean {
    return this.#failure?.error === error
  }

  rebase(theirs: Snapshot | undefined): Proposal | undefined {
    this.#result = undefined
    this.#failure = undefined
    try {
      return theirs && this.#change(theirs)
    } catch (error) {
      this.#failure = { error }
      throw error
    }
  }

  committed(): void {}

  aborted(): void {}

  contentRefused({ patches }: Proposal, cause: unknown): SharedSessionError {
    return refusedByStore(
      patches.map(({ path }) => path),
      cause,
    )
  }

  #change(theirs: Snapshot): Proposal | undefined {
    const before = theirs.data
    const produced = produce(this.#recipe, before)
    this.#checkNames(before, produced)
    const { data, entries } = toPlainData(theirs, produced)
    if (!isContainer(data) || isList(data)) returnedNoData()
    const snapshot = new Snapshot({ cookie: theirs.cookie, data: () => parseEntries(entries), entries })
    assertSize(snapshot.dataText as string, this.#options.maxBytes)
    this.#result = { snapshot, data }
    return equal(before, data) ? undefined : new UpdateProposal(snapshot, before, data)
  }

  /** What is in the store under such a name may stay there: others have written it. `__proto__` is left out, see {@link toPlainData}. */
  #checkNames(before: JsonObject, produced: JsonObject): void {
    for (const name of Object.keys(produced)) {
      const isReserved = name !== '__proto__' && isReservedName(name, this.#options.prototype)
      if (isReserved && !(Object.hasOwn(before, name) && before[name] === produced[name])) {
        throw toNotStorable(reservedKey([name]), [], [])
      }
    }
  }
}

class UpdateProposal implements Proposal {
  readonly write = true
  readonly #theirs: JsonObject
  readonly #data: JsonObject
  #patches: Patch[] | undefined

  /** @param data that of `snapshot`; the caller of `update()` is given it, and may change it, after the commit */
  constructor(
    readonly snapshot: Snapshot,
    theirs: JsonObject,
    data: JsonObject,
  ) {
    this.#theirs = theirs
    this.#data = data
  }

  /** Made when somebody asks for the first time: mostly nobody listens. */
  get patches(): Patch[] {
    this.#patches ??= diff(this.#theirs, this.#data)
    return this.#patches
  }
}

/** Commits an `update()`. @returns what the store holds then @throws `SESSION_NOT_FOUND`, `STORE_FAILED`, and what its `rebase` throws */
export async function commitUpdate(
  committer: Pick<Committer, 'commit'>,
  sid: string,
  transaction: UpdateTransaction,
): Promise<UpdateResult> {
  let result: UpdateResult | undefined
  try {
    // Where the store has lost the session meanwhile, the recipe has run on what it was last seen to hold.
    if ((await committer.commit(sid, transaction)) !== 'gone') result = transaction.result
  } catch (error) {
    throw transaction.isRecipeError(error) ? error : storeError('updated', error)
  }
  if (result) return result
  throw new SharedSessionError(
    'SESSION_NOT_FOUND',
    'There is no such session in the store. It has ended, or it is that of a new visitor and not stored yet: write to req.session instead, or store it first, by req.session.save().',
  )
}

/**
 * Shows the result of an update in a request's session. What the request itself has changed stays on top, and remains its only change when
 * the session is saved at the end of the request. Never throws: the commit has succeeded.
 *
 * @param now the present moment of the store's clock
 * @returns the merge; `undefined` for a session that is left alone: it was not loaded from this store, or JSON cannot hold it as it is now
 */
export function showResult(
  session: SessionData,
  sid: string,
  { data: theirs }: Snapshot,
  bases: MergeBases,
  now: Moment,
  rules: StrategyTable | undefined,
): MergeResult | undefined {
  const base = bases.of(session)
  if (base?.sid !== sid) return undefined
  const pending = [...bases.pendingSaves(session)]
  try {
    const { cookie, data } = base.state
    const rebased = pending.map(({ mine }) => merge(data, mine.data, theirs, rules).data)
    const mine = Snapshot.fromSession(session).data
    const merged = merge(data, mine, theirs, rules)
    show(session, mine, merged.data)
    for (const [index, save] of pending.entries()) {
      save.mine = new Snapshot({ cookie: save.mine.cookie, data: rebased[index] as JsonObject })
    }
    bases.saved(session, sid, new Snapshot({ cookie, data: theirs }), now)
    return merged
  } catch (error) {
    // Its base stays what it had loaded, so its own save is merged with the update.
    debug('a request does not show the result of its update(): %s', errorLabel(error))
    return undefined
  }
}

/** Changes a request's session in place, so that objects which the route has read from it stay part of it. */
function show(session: object, mine: JsonObject, next: JsonObject): void {
  const patches = diff(mine, next)
  for (const patch of patches) {
    try {
      apply(session, [patch])
    } catch {
      // A part is frozen, or has a toJSON() of its own.
    }
  }
  const shown = Snapshot.fromSession(session).data
  for (const key of new Set(patches.map(({ path }) => path[0] as string))) {
    if (equal(shown[key], next[key])) continue
    if (Object.hasOwn(next, key)) Object.assign(session, { [key]: clone(next[key]) })
    else Reflect.deleteProperty(session, key)
  }
}

function run(recipe: Recipe, draft: JsonObject): JsonObject | undefined {
  const returned = recipe(draft)
  if (returned === undefined) return undefined
  if (isThenable(returned)) {
    // The draft is revoked when the recipe returns: later writes of an async recipe are lost, and its rejection would be unhandled.
    returned.then(undefined, () => undefined)
    bad('The recipe of update() must not be async: do the waiting before, and only the change in it.')
  }
  if (typeof returned !== 'object' || returned === null || Array.isArray(returned)) {
    returnedNoData()
  }
  return returned as JsonObject
}

/** Runs the recipe. Immer walks recursively over what it puts into the draft: data that is nested too deep is rejected there. */
function produce(recipe: Recipe, data: JsonObject): JsonObject {
  let returned = false
  try {
    immer ??= new (loadImmer().Immer)({ autoFreeze: false })
    return immer.produce(data, (draft: JsonObject) => {
      const result = run(recipe, draft)
      returned = true
      return result
    })
  } catch (cause) {
    // After the recipe it is immer's own walk.
    if (returned) throw notStorable(cause)
    throw cause
  }
}

/** What JSON makes of a recipe's result. What the recipe has left as it was is neither copied nor made text again. */
function toPlainData(theirs: Snapshot, produced: object): { data: JsonObject; entries: string[] } {
  try {
    const data = toJson(produced, [], undefined, theirs.data) as JsonObject
    const entries = entriesAfter(theirs, data)
    if (!entries.some((entry) => entry.includes('"__proto__":'))) return { data, entries }
    // Another process has stored such a key. A copy leaves it out.
    const copy = toJson(produced, []) as JsonObject
    return { data: copy, entries: entriesAfter({ data: {}, entries: undefined }, copy) }
  } catch (cause) {
    throw notStorable(cause)
  }
}

const notStorable = (cause: unknown): SharedSessionError =>
  new SharedSessionError('NOT_STORABLE', 'The recipe of update() put something into the session that JSON cannot hold.', {
    cause,
  })

function returnedNoData(): never {
  bad(
    'The recipe of update() returned something that is no session data. Change the draft and return nothing: (draft) => { draft.n++ }, with braces.',
  )
}

function bad(message: string): never {
  throw new SharedSessionError('BAD_ARGUMENT', message)
}
