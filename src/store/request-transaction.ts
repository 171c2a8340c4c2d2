import type { SessionData } from 'express-session'
import { diffTopLevelKeys, type Merged, merge, mergeTopLevelKeys } from '../document/merge.js'
import type { StrategyTable } from '../document/merge-strategy.js'
import type { Patch } from '../document/patch.js'
import { endsSession, isBehind, mergeCookies, sameAttributes, setsExpiry } from './cookie.js'
import { expiryOf } from './cookie-json.js'
import { changeOf, haveSameData } from './data-text.js'
import { baseSnapshot, type MergeBases, type PendingSave, wholeSnapshot } from './merge-bases.js'
import { Snapshot } from './snapshot.js'
import type { Proposal, Transaction, TtlPolicy } from './transaction.js'

/** The rest of the process, as a request's transaction needs it. */
export interface RequestTransactionHost {
  readonly bases: MergeBases
  /** `false`: a save replaces the session, as express-session does. */
  readonly merging: boolean
  readonly rules: StrategyTable | undefined
  /** The moment, by the clock of changed cookies. */
  now(): number
  /** The session with the store's own fields apart. */
  withoutStoreFields(snapshot: Snapshot): Snapshot
  /** Was it committed here after that moment? */
  committedSince(sid: string, moment: number): boolean
  /** The moment of the commit that is being reported, by the clock of commits. */
  committing(): number
  /** Was the session stored, or ended, although the request has loaded it as one that was not stored yet? */
  wasStored(sid: string): boolean
  /** A save that was merged with what others had written has reached the store. */
  merged(sid: string, found: Merged): void
}

/** A {@link Transaction} that may end its session. */
export interface RequestTransaction extends Transaction {
  /** The request has set the cookie to an end that is over. */
  readonly ends: boolean
}

/**
 * The transaction of an HTTP request's save: its changes are not recorded, so they are the difference between what it had loaded and
 * what it saves. A new session, and data of unknown origin given to `store.set`, replace what the store holds.
 */
export function createRequestTransaction(sid: string, session: SessionData, host: RequestTransactionHost): RequestTransaction {
  const { bases } = host
  // The data is that of this moment. The base is looked up later, after the saves that the same request asked for before.
  const save: PendingSave = {
    mine: host.withoutStoreFields(Snapshot.of(session)).with({ history: undefined, storeFields: undefined }),
  }
  const pending = bases.pendingSaves(session)
  pending.add(save)
  let found: Merged | undefined
  const before = bases.of(session)
  return {
    origin: 'http',
    ends: endsSession(session.cookie, before?.sid === sid ? before.state.cookie : undefined, save.mine.cookie),
    get mustExist() {
      const base = bases.of(session)
      return base?.sid === sid && (base.stored || host.wasStored(sid))
    },
    get fresh() {
      const base = bases.of(session)
      return (base ? base.sid === sid && !base.stored : isGenerated(session, sid)) && !host.wasStored(sid)
    },
    loaded: () => loadedSnapshot(sid, session, host),
    rebase(theirs) {
      pending.delete(save)
      found = undefined
      const { mine } = save
      if (theirs === undefined) return new RequestProposal(mine, () => diffTopLevelKeys({}, mine.data), true, undefined)
      const loaded = host.merging ? baseSnapshot(bases.of(session), sid) : undefined
      const base = loaded && host.withoutStoreFields(loaded)
      const meant = setsExpiry(session.cookie, base?.cookie, mine.cookie)
      const cookie = base ? mergeCookies(base.cookie, mine.cookie, theirs.cookie, meant) : mine.cookie
      const propose = (mine: Snapshot, patches: (() => Patch[]) | undefined): Proposal => {
        const moved = meant && expiryOf(cookie) !== expiryOf(theirs.cookie)
        // If only the expiry moved, a touch is enough, unless the stored expiry is more than a tenth of the maximum age behind.
        const write = moved || patches !== undefined || !sameAttributes(cookie, theirs.cookie) || isBehind(theirs.cookie, cookie)
        return new RequestProposal(mine.with({ cookie }), patches ?? (() => []), write, meant ? 'exact' : undefined)
      }
      try {
        // Mostly nobody else has written, and there is nothing to merge.
        if (!base || isSameText(base, theirs) || haveSameData(base, theirs)) return propose(mine, changeOf(theirs, mine))
        found = merge(base.data, mine.data, theirs.data, host.rules)
        const { data, patches } = found
        return propose(new Snapshot({ cookie, data }), patches.length > 0 ? () => patches : undefined)
      } catch (error) {
        // Nested too deep for that: without this package it would be stored.
        if (!(error instanceof RangeError)) throw error
        const data = base ? mergeTopLevelKeys(base.data, mine.data, theirs.data) : mine.data
        const patches = diffTopLevelKeys(theirs.data, data)
        return propose(new Snapshot({ cookie, data }), patches.length > 0 ? () => patches : undefined)
      }
    },
    committed({ snapshot: { history } }) {
      // Not before: when another process was faster, all of this is done again.
      if (found) host.merged(sid, found)
      // The request goes on with its own data: its next save is compared with this one.
      const whole = found ? undefined : { moment: host.committing(), history }
      bases.saved(session, sid, save.mine, host.now(), whole)
    },
    aborted() {},
  }
}

/** What the store held when a request's session was loaded or last saved; `undefined` where it was committed here since. */
export function loadedSnapshot(
  sid: string,
  session: SessionData,
  host: Pick<RequestTransactionHost, 'bases' | 'committedSince'>,
): Snapshot | undefined {
  const base = host.bases.of(session)
  return base?.whole && !host.committedSince(sid, base.whole.moment) ? wholeSnapshot(base, sid) : undefined
}

/** A `Session` that express-session has made for a request, with an id of its own: what it has loaded has a base. */
function isGenerated(session: SessionData, sid: string): boolean {
  // Neither can be in what JSON makes, as what applications give to `store.set`.
  const isOwn = (name: string): boolean => Object.getOwnPropertyDescriptor(session, name)?.enumerable === false
  return isOwn('req') && isOwn('id') && (session as { id?: unknown }).id === sid
}

/** Its patches are made when somebody asks for them: mostly nobody listens. */
class RequestProposal implements Proposal {
  readonly snapshot: Snapshot
  readonly write: boolean
  readonly ttl?: TtlPolicy
  readonly #patches: () => Patch[]

  constructor(snapshot: Snapshot, patches: () => Patch[], write: boolean, ttl: TtlPolicy | undefined) {
    this.snapshot = snapshot
    this.write = write
    if (ttl) this.ttl = ttl
    this.#patches = patches
  }

  get patches(): Patch[] {
    return this.#patches()
  }
}

function isSameText({ text }: Snapshot, theirs: Snapshot): boolean {
  return text !== undefined && text === theirs.text
}
