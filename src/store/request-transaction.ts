import type { SessionData } from 'express-session'
import type { JsonObject } from '../document/json.js'
import { diffTopLevelKeys, type MergeResult, merge, mergeTopLevelKeys } from '../document/merge.js'
import type { StrategyTable } from '../document/merge-strategy.js'
import type { Patch } from '../document/patch.js'
import { endsSession, isBehind, mergeCookies, sameAttributes, setsExpiry } from './cookie.js'
import { expiryOf } from './cookie-json.js'
import { changeOf, haveSameData } from './data-text.js'
import type { StoreRequest } from './in-flight-requests.js'
import type { MergeBase, MergeBases, PendingSave } from './merge-bases.js'
import type { Moment } from './session-clock.js'
import { Snapshot } from './snapshot.js'
import type { Proposal, Transaction, TtlPolicy } from './transaction.js'

/** The rest of the process, as a request's transaction needs it. */
export interface RequestTransactionHost {
  readonly bases: MergeBases
  /** `false`: a save replaces the session, as express-session does. */
  readonly merging: boolean
  readonly strategies: StrategyTable | undefined
  /** The present moment. */
  now(): Moment
  /** The session with the store's own fields apart. */
  withoutStoreFields(snapshot: Snapshot): Snapshot
  /** Was it committed here after that moment? */
  committedSince(sid: string, since: Moment): boolean
  /** The moment of the commit that is being reported. */
  committing(): Moment
  /** Was the session stored, or ended, although the request has loaded it as one that was not stored yet? */
  wasStored(sid: string): boolean
  /** A save that was merged with what others had written has reached the store. */
  merged(sid: string, found: MergeResult): void
}

/**
 * The transaction of an HTTP request's save: its changes are not recorded, so they are the difference between what it had loaded and
 * what it saves. A new session, and data of unknown origin given to `store.set`, replace what the store holds.
 *
 * A class: V8 makes a hidden class for each object that has getters of its own, and that keeps all that the getters refer to.
 */
export class RequestTransaction implements Transaction {
  readonly origin = 'http'
  /** The request has set the cookie to an end that is over: the session is to end. */
  readonly ends: boolean
  readonly #sid: string
  readonly #session: SessionData
  readonly #host: RequestTransactionHost
  readonly #save: PendingSave
  #found: MergeResult | undefined

  constructor(sid: string, session: SessionData, host: RequestTransactionHost) {
    this.#sid = sid
    this.#session = session
    this.#host = host
    // The data is that of this moment. The base is looked up later, after the saves that the same request asked for before.
    const mine = host.withoutStoreFields(Snapshot.lazyFromSession(session)).with({ history: undefined, storeFields: undefined })
    this.#save = { mine }
    this.ends = endsSession(session.cookie, this.#base?.state.cookie, mine.cookie)
    if (!this.ends) host.bases.pendingSaves(session).add(this.#save)
  }

  get mustExist(): boolean {
    const base = this.#base
    return base !== undefined && (base.stored || base.live?.stored === true || this.#host.wasStored(this.#sid))
  }

  get isNew(): boolean {
    const base = this.#host.bases.of(this.#session)
    const isNew = base ? base.sid === this.#sid && !base.stored && !base.live?.stored : isGenerated(this.#session, this.#sid)
    return isNew && !this.#host.wasStored(this.#sid)
  }

  /** The cookie leaves with the headers. */
  get isSecret(): boolean {
    const { req: request } = this.#session as { req?: StoreRequest }
    const isOwn = !this.#host.bases.of(this.#session) && isGenerated(this.#session, this.#sid)
    return isOwn && request?.res?.headersSent === false
  }

  loaded(): Snapshot | undefined {
    return loadedSnapshot(this.#sid, this.#session, this.#host)
  }

  rebase(theirs: Snapshot | undefined): Proposal {
    const host = this.#host
    this.#found = undefined
    const { mine } = this.#save
    if (theirs === undefined) return new RequestProposal(mine, () => diffTopLevelKeys({}, mine.data), true, undefined)
    const loaded = host.merging ? this.#base?.state : undefined
    const base = loaded && host.withoutStoreFields(loaded)
    const meant = setsExpiry(this.#session.cookie, base?.cookie, mine.cookie)
    const cookie = base ? mergeCookies(base.cookie, mine.cookie, theirs.cookie, meant) : mine.cookie
    const propose = (next: Snapshot, patches: (() => Patch[]) | undefined): Proposal => {
      const moved = meant && expiryOf(cookie) !== expiryOf(theirs.cookie)
      // If only the expiry moved, a touch is enough, unless the stored expiry is more than a tenth of the maximum age behind.
      const write = moved || patches !== undefined || !sameAttributes(cookie, theirs.cookie) || isBehind(theirs.cookie, cookie)
      return new RequestProposal(next.with({ cookie }), patches ?? (() => []), write, meant ? 'exact' : undefined)
    }
    const proposeData = (data: JsonObject, patches: Patch[]): Proposal =>
      propose(new Snapshot({ cookie, data }), patches.length > 0 ? () => patches : undefined)
    try {
      // Mostly nobody else has written, and there is nothing to merge.
      if (!base || isSameText(base, theirs) || haveSameData(base, theirs)) return propose(mine, changeOf(theirs, mine))
      this.#found = merge(base.data, mine.data, theirs.data, host.strategies)
      return proposeData(this.#found.data, this.#found.patches)
    } catch (error) {
      // Nested too deep for that: without this package it would be stored.
      if (!(error instanceof RangeError)) throw error
      const data = base ? mergeTopLevelKeys(base.data, mine.data, theirs.data) : mine.data
      return proposeData(data, diffTopLevelKeys(theirs.data, data))
    }
  }

  committed({ snapshot: { history } }: Proposal): void {
    const host = this.#host
    // Not before: when another process was faster, all of this is done again.
    if (this.#found) host.merged(this.#sid, this.#found)
    // The request goes on with its own data: its next save is compared with this one.
    const whole = this.#found ? undefined : { heldMoment: host.committing(), history }
    host.bases.saved(this.#session, this.#sid, this.#save.mine, host.now(), whole)
    this.close()
  }

  /** It is not rebased any more: what the request is shown from now on is no part of it. */
  close(): void {
    this.#host.bases.pendingSaves(this.#session).delete(this.#save)
  }

  aborted(): void {}

  /** Where the store has a new session later, then by this save. Where it has not, it may have ended: it is not created once more. */
  outcomeUnknown(): void {
    if (this.isNew && !this.isSecret) this.#host.bases.saved(this.#session, this.#sid, this.#save.mine, this.#host.now())
  }

  /** What the request has loaded of this session. */
  get #base(): MergeBase | undefined {
    const base = this.#host.bases.of(this.#session)
    return base?.sid === this.#sid ? base : undefined
  }
}

/** What the store held when a request's session was loaded or last saved; `undefined` where it was committed here since. */
export function loadedSnapshot(
  sid: string,
  session: SessionData,
  host: Pick<RequestTransactionHost, 'bases' | 'committedSince'>,
): Snapshot | undefined {
  const base = host.bases.of(session)
  if (!base?.whole || base.sid !== sid || host.committedSince(sid, base.whole.heldMoment)) return undefined
  return base.state.with({ history: base.whole.history })
}

/** A `Session` that express-session has made for a request, with an id of its own: what it has loaded has a base. */
function isGenerated(session: SessionData, sid: string): boolean {
  // Neither can be in what JSON makes, as what applications give to `store.set`.
  const isOwn = (name: string): boolean => Object.getOwnPropertyDescriptor(session, name)?.enumerable === false
  return isOwn('req') && isOwn('id') && (session as { id?: unknown }).id === sid
}

class RequestProposal implements Proposal {
  readonly #patches: () => Patch[]

  /** @param patches makes them, when somebody asks: mostly nobody listens */
  constructor(
    readonly snapshot: Snapshot,
    patches: () => Patch[],
    readonly write: boolean,
    readonly ttl: TtlPolicy | undefined,
  ) {
    this.#patches = patches
  }

  get patches(): Patch[] {
    return this.#patches()
  }
}

function isSameText({ text }: Snapshot, theirs: Snapshot): boolean {
  return text !== undefined && text === theirs.text
}
