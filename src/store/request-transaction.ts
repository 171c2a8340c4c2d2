import type { SessionData } from 'express-session'
import { equal } from '../document/json.js'
import { diffTopLevelKeys, type Merged, merge, mergeTopLevelKeys } from '../document/merge.js'
import type { StrategyTable } from '../document/merge-strategy.js'
import { diff, type Patch } from '../document/patch.js'
import { withoutHistory } from './commit-history.js'
import { endsSession, isBehind, mergeCookies, movesEnd, sameAttributes } from './cookie.js'
import { type Document, expiryOf, toDocument } from './document.js'
import { baseDocument, type MergeBases, type PendingSave, wholeDocument } from './merge-bases.js'
import type { Proposal, Transaction } from './transaction.js'

/** What a request's writer needs of the process around it. */
export interface RequestTransactionHost {
  readonly bases: MergeBases
  /** `false`: a save replaces the document, as express-session does. */
  readonly merging: boolean
  readonly rules: StrategyTable | undefined
  /** The moment, by the clock of changed cookies. */
  now(): number
  /** A document without what the store itself has put there. */
  own(document: Document): Document
  /** Was it committed here after that moment? */
  committedSince(sid: string, moment: number): boolean
  /** The moment of the commit that is just being told, by the clock of commits. */
  committing(): number
  /** Was the session stored, or ended, although its writer has loaded it as one that was not stored yet? */
  wasStored(sid: string): boolean
  /** A save that met what others had written has reached the store. */
  merged(sid: string, found: Merged): void
}

/** A {@link Transaction} that may put an end to its session. */
export interface RequestTransaction extends Transaction {
  /** It has given its session an end that is over. */
  readonly ends: boolean
}

/**
 * The writer of an HTTP request: its changes are not recorded, so they are the difference between what it had loaded and what it
 * saves. A new session, and data of unknown origin given to `store.set`, replace the document.
 */
export function requestTransaction(sid: string, session: SessionData, host: RequestTransactionHost): RequestTransaction {
  const { bases } = host
  // As it is now; its base only when its turn has come, after the saves that the same request asked for before.
  const { cookie, data } = host.own(toDocument(session))
  // Code that reads the store past us may hand its record back.
  const save: PendingSave = { mine: { cookie: withoutHistory(cookie), data } }
  const asked = bases.pendingSaves(session)
  asked.add(save)
  let found: Merged | undefined
  const before = bases.of(session)
  return {
    origin: 'http',
    ends: endsSession(session.cookie, before?.sid === sid ? before.cookie : undefined, cookie),
    get mustExist() {
      const base = bases.of(session)
      return base?.sid === sid && (base.stored || host.wasStored(sid))
    },
    get fresh() {
      const base = bases.of(session)
      return (base ? base.sid === sid && !base.stored : isGenerated(session, sid)) && !host.wasStored(sid)
    },
    loaded: () => loadedDocument(sid, session, host),
    rebase(theirs, held) {
      asked.delete(save)
      found = undefined
      const { mine } = save
      if (theirs === undefined) return { document: mine, write: true, patches: diffTopLevelKeys({}, mine.data) }
      const loaded = host.merging ? bases.of(session) : undefined
      // The very text that was loaded: it need not be taken apart twice.
      const isSame = loaded?.sid === sid && held?.json !== undefined && held.json === loaded.state
      const whole = isSame ? theirs : baseDocument(loaded, sid)
      const base = whole && host.own(whole)
      const meant = movesEnd(session.cookie, base?.cookie, mine.cookie)
      const cookie = base ? mergeCookies(base.cookie, mine.cookie, theirs.cookie, meant) : mine.cookie
      try {
        // Mostly nobody else has written, and there is nothing to merge.
        if (!base || isSame || equal(base.data, theirs.data))
          return next({ cookie, data: mine.data }, diff(theirs.data, mine.data), theirs, meant)
        found = merge(base.data, mine.data, theirs.data, host.rules)
        return next({ cookie, data: found.data }, found.patches, theirs, meant)
      } catch (error) {
        // Nested too deep for that: without this package it would be stored.
        if (!(error instanceof RangeError)) throw error
        const data = base ? mergeTopLevelKeys(base.data, mine.data, theirs.data) : mine.data
        return next({ cookie, data }, diffTopLevelKeys(theirs.data, data), theirs, meant)
      }
    },
    committed(next) {
      // Not before: when another writer was faster, all of this is done again.
      if (found) host.merged(sid, found)
      // The request goes on with what it had: its next save is compared with this one.
      const whole = found ? undefined : { moment: host.committing(), record: next.document.record }
      bases.saved(session, sid, save.mine, host.now(), whole)
    },
    aborted() {},
  }
}

/** What the store held when a request's session was loaded or last saved; `undefined` where it was committed here since. */
export function loadedDocument(
  sid: string,
  session: SessionData,
  host: Pick<RequestTransactionHost, 'bases' | 'committedSince'>,
): Document | undefined {
  const base = host.bases.of(session)
  return base?.whole && !host.committedSince(sid, base.whole.moment) ? wholeDocument(base, sid) : undefined
}

/** A `Session` that express-session has made for a request, with an id of its own: what it has loaded has a base. */
function isGenerated(session: SessionData, sid: string): boolean {
  // Neither can be in what JSON makes, as what applications give to `store.set`.
  const isOwn = (name: string): boolean => Object.getOwnPropertyDescriptor(session, name)?.enumerable === false
  return isOwn('req') && isOwn('id') && (session as { id?: unknown }).id === sid
}

/**
 * Attributes of the cookie are written as data is; a later end alone is what a touch is for, as long as the stored one is about right.
 * @param meant the end is as the writer wants it
 */
function next(document: Document, patches: Patch[], { cookie }: Document, meant: boolean): Proposal {
  const moved = meant && expiryOf(document.cookie) !== expiryOf(cookie)
  const write = moved || patches.length > 0 || !sameAttributes(document.cookie, cookie) || isBehind(cookie, document.cookie)
  return { document, patches, write, ...(meant && { life: 'asCookie' }) }
}
