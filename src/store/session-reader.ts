import type { SessionData } from 'express-session'
import { withTimeout } from '../util/promises.js'
import type { StoreAnswer } from './commit-strategy.js'
import type { MergeBases } from './merge-bases.js'
import { isMissing } from './original-store.js'
import { ReadCoalescer } from './read-coalescer.js'
import type { Moment } from './session-clock.js'
import { Snapshot } from './snapshot.js'
import { storeTimeout } from './store-timeout.js'

/** What reads ask for, and report. */
export interface ReadHandlers {
  /** The present moment. */
  now(): Moment
  /** Something a read has to wait for, or `undefined`. */
  beforeRead(sid: string): Promise<void> | undefined
  /** What the store holds of a session, as its `get` answers. @param forHandshake most handshakes are followed by no write */
  load(sid: string, forHandshake: boolean): Promise<StoreAnswer>
  /** The same for a handshake, synchronously; `undefined` where the store cannot do that. */
  loadNow(sid: string): StoreAnswer | undefined
  /** A read that began at that moment found the session. */
  found(sid: string, readMoment: Moment): void
  /** Did a commit store the session after that moment, and has it not ended? */
  storedSince(sid: string, since: Moment): boolean
  /** A read found nothing. @param isMoved but the copy of a session that is marked as moved */
  missing(sid: string, isMoved: boolean | undefined): void
  /** A session that is live here and was never stored; its client may have its cookie all the same. */
  unstored(sid: string): UnstoredSession | undefined
}

/** A session that is live and was not stored yet. */
export interface UnstoredSession {
  session: SessionData
  live: { readonly stored: boolean }
}

/** What a read for a handshake has found. */
export interface ReadResult {
  /** The session, shared by all who read at once: its data is not to be changed. `undefined` if there is none. */
  readonly snapshot: Snapshot | undefined
  /** When the read began. */
  readonly readMoment: Moment
  /** It is in the store; otherwise it is live in this process. */
  readonly stored: boolean
  /** Where there is no session. */
  readonly missing: MissingSession | undefined
}

/** A session that is not in the store. */
export interface MissingSession {
  readonly sid: string
  /** The store's own answer, or the error that it has for that. */
  readonly answer: null | undefined
  readonly error: unknown
}

/** What a read has found. */
class StoreRead implements ReadResult {
  #snapshot: Snapshot | undefined

  /** @param error the store's own for a missing session */
  constructor(
    readonly sid: string,
    readonly loaded: StoreAnswer,
    readonly readMoment: Moment,
    readonly stored: boolean,
    readonly error?: unknown,
    readonly live?: UnstoredSession['live'],
  ) {}

  get snapshot(): Snapshot | undefined {
    const { loaded } = this
    // Where there is a base, the session is not asked for: that would parse it.
    this.#snapshot ??= loaded.base ?? (loaded.session ? Snapshot.lazyFromSession(loaded.session) : undefined)
    return this.#snapshot
  }

  get missing(): MissingSession | undefined {
    if (this.snapshot) return undefined
    return { sid: this.sid, answer: this.loaded.session as null | undefined, error: this.error }
  }
}

/** Reads sessions for requests and handshakes. */
export class SessionReader {
  readonly #handlers: ReadHandlers
  readonly #bases: MergeBases
  readonly #timeout: number
  /** Handshakes share reads: a visitor's tabs come at once. */
  readonly #handshakes = new ReadCoalescer((sid) => this.#read(sid, true))
  /** The store is in this process, and is read synchronously: there is nothing to share. */
  readsNow = false

  /** @param timeout ms that a read may take */
  constructor(handlers: ReadHandlers, bases: MergeBases, timeout: number) {
    this.#handlers = handlers
    this.#bases = bases
    this.#timeout = timeout
  }

  /** The answer to a request's `get`, which is its caller's own. */
  async get(sid: string): Promise<SessionData | null | undefined> {
    return this.#answer(sid, await this.#read(sid, false))
  }

  /** The answer to the `get` of a session middleware that runs for a handshake. @param missing it was just looked for */
  async getForHandshake(sid: string, missing: MissingSession | undefined): Promise<SessionData | null | undefined> {
    if (missing?.sid === sid) {
      if (missing.error) throw missing.error
      return missing.answer
    }
    const found = await this.#handshakes.get(sid)
    const { session, base } = found.loaded
    // A copy for each: express-session makes a Cookie of what it finds, in place, and a middleware around it may write into the rest.
    const copy = session ? (JSON.parse(JSON.stringify(session)) as SessionData) : session
    return this.#answer(sid, new StoreRead(sid, { session: copy, base }, found.readMoment, found.stored, found.error, found.live))
  }

  /** Reads a session for a handshake: synchronously, if the store has it in this process and nothing has to be waited for. */
  readForHandshake(sid: string): ReadResult | Promise<ReadResult> {
    if (!this.readsNow) return this.#handshakes.get(sid)
    const wait = this.#handlers.beforeRead(sid)
    return (wait ? undefined : this.#readNow(sid)) ?? this.#read(sid, true, wait)
  }

  /** @returns `undefined` where a missing session has to be looked into, or where the read has failed: {@link #read} does that */
  #readNow(sid: string): StoreRead | undefined {
    const readMoment = this.#handlers.now()
    const loaded = this.#loadNow(sid)
    if (!loaded?.base) return undefined
    this.#handlers.found(sid, readMoment)
    return new StoreRead(sid, loaded, readMoment, true)
  }

  #loadNow(sid: string): StoreAnswer | undefined {
    try {
      return this.#handlers.loadNow(sid)
    } catch {
      return undefined
    }
  }

  #answer(sid: string, { loaded, readMoment, stored, error, live }: StoreRead): SessionData | null | undefined {
    if (error) throw error
    const { session, base } = loaded
    if (session) {
      const state = base ?? Snapshot.lazyFromSession(session)
      const whole = stored ? { heldMoment: readMoment, history: base?.history } : undefined
      this.#bases.set(session, { sid, state, loadedMoment: readMoment, stored, live, whole })
    }
    return session
  }

  async #read(sid: string, forHandshake: boolean, wait = this.#handlers.beforeRead(sid)): Promise<StoreRead> {
    // Otherwise the store is asked synchronously, as it would be without this package.
    if (wait) await wait
    const readMoment = this.#handlers.now()
    let error: unknown
    let loaded: StoreAnswer = { session: undefined }
    try {
      const loading = this.#handlers.load(sid, forHandshake)
      loaded = await withTimeout(loading, this.#timeout, () => storeTimeout('a read', this.#timeout))
    } catch (cause) {
      if (!isMissing(cause)) throw cause
      error = cause
    }
    if (loaded.base ?? loaded.session) {
      this.#handlers.found(sid, readMoment)
      return new StoreRead(sid, loaded, readMoment, true)
    }
    this.#handlers.missing(sid, loaded.isMoved)
    // Stored for the first time while the store answered that it has none.
    if (this.#handlers.storedSince(sid, readMoment)) return this.#read(sid, forHandshake)
    const unstored = this.#handlers.unstored(sid)
    if (unstored) return new StoreRead(sid, { session: unstored.session }, readMoment, false, undefined, unstored.live)
    return new StoreRead(sid, loaded, readMoment, false, error)
  }
}
