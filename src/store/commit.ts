import type { JsonObject } from '../tracking/json.js'
import { ComparingCommits } from './comparing.js'
import type { CommitListener, CommitResult, Writer } from './contract.js'
import { ChangedCookies } from './cookies.js'
import { type CookieImage, type Document, late } from './document.js'
import type { Driver, Note } from './driver.js'
import { type Hold, Lanes } from './lanes.js'
import { answeredWithin, settledWithin } from './operation.js'
import type { RawStore } from './raw.js'
import type { Seen } from './record.js'
import { UncheckedCommits } from './unchecked.js'
import { type Loaded, StoreView } from './view.js'

/** Into one kind of store. @param hold keeps the lane closed */
interface Way {
  commit(sid: string, writer: Writer, hold: Hold): Promise<CommitResult>
  /** What the store holds, in the session's turn. */
  see(sid: string): Promise<Seen | undefined>
  /** @returns whether the store still has it */
  touch(sid: string, document: Document, loaded?: () => Document | undefined): Promise<boolean>
  /** Is it unknown what became of a write? */
  inDoubt(sid: string): boolean
}

/**
 * The one way into the store. For each session one commit at a time in this process: replay the writer's changes onto what the store
 * holds, write. A store that compares is written on what it was last seen to hold, and brings what it holds now along where that is
 * something else; others are read before.
 */
export class Commits {
  readonly lanes = new Lanes()
  readonly cookies = new ChangedCookies()
  readonly #view: StoreView
  readonly #way: Way
  readonly #listener: CommitListener

  /** @param timeout ms that one call of the store may take */
  constructor(driver: Driver, raw: RawStore, listener: CommitListener, timeout: number) {
    this.#view = new StoreView(driver, raw, this.cookies, listener, timeout)
    this.#listener = listener
    const { unchecked } = driver
    this.#way = unchecked
      ? new UncheckedCommits(this.#view, unchecked, this.lanes, listener)
      : new ComparingCommits(this.#view, listener)
  }

  /**
   * Rejects with `STORE_TIMEOUT` where nothing was written, with `OUTCOME_UNKNOWN` where that cannot be told, and with what the store
   * reported. Where the store cannot compare, no other commit of the session starts until a write is answered, as a late one could
   * undo it, or the store was asked for what it is not going to tell any more.
   */
  commit(sid: string, writer: Writer): Promise<CommitResult> {
    return this.lanes.run(sid, this.#view.timeout, (hold) => this.#way.commit(sid, writer, hold))
  }

  /** What a request is given for `get`: the store's own answer, without the record. */
  load(sid: string): Promise<Loaded> {
    return this.#view.load(sid)
  }

  /** What the store holds; one read, bounded. Safe to absorb only inside a lane. */
  async read(sid: string): Promise<Document | undefined> {
    return present(await this.#way.see(sid))
  }

  /** A document as a store hands it out, without what the store itself has put there. */
  own(document: Document): Document {
    return this.#view.driver.unchecked?.stamps.outOf(document) ?? document
  }

  /** Is something of this session on its way, or in doubt? */
  settling(sid: string): boolean {
    return this.lanes.busy(sid) || this.#way.inDoubt(sid)
  }

  /** Reads between two commits of the session, so that what is read is not older than what this process wrote. */
  inspect(sid: string, see: (found: Document | undefined) => void): Promise<void> {
    return this.lanes.run(sid, this.#view.timeout, async () => see(await this.read(sid)))
  }

  /**
   * Does something in the session's turn, when what is under way has ended.
   * @param job may ask for what the store holds
   */
  inTurn(sid: string, job: (read: () => Promise<Document | undefined>) => Promise<void>): Promise<void> {
    return this.lanes.run(sid, this.#view.timeout, () => job(() => this.read(sid)))
  }

  /**
   * Several sessions in one round trip, outside their turns: what is read may be older than what this process has written meanwhile.
   * @returns `undefined` where the store cannot do that
   */
  async readMany(sids: readonly string[]): Promise<(Document | undefined)[] | undefined> {
    const found = await this.#view.seeMany(sids)
    return found?.map((each, index) => {
      const sid = sids[index] as string
      // The next write starts from there. Where it has become something else the store says so.
      if (each && this.#view.driver.compares && !this.lanes.busy(sid)) this.#view.known.note(sid, each.held)
      return present(each)
    })
  }

  /**
   * Refreshes a session's life, if the store still has it.
   * @param data the session's, for the few stores that look at it
   * @param loaded see {@link Writer.loaded}
   */
  touch(sid: string, cookie: CookieImage, data: () => JsonObject, loaded?: () => Document | undefined): Promise<void> {
    return this.lanes.run(sid, this.#view.timeout, async (hold) => {
      // Some stores insert on touch, which would bring a dead session back.
      if (this.#listener.dead(sid)) return
      const settled = this.#way.touch(sid, late(cookie, data), loaded)
      // Some stores set on touch: a late one would bring back what has ended meanwhile.
      const again = (): void => {
        if (this.#listener.dead(sid)) this.destroy(sid, () => undefined).catch(() => undefined)
      }
      hold(answeredWithin(settled, this.#view.patience, again))
      if (!(await this.#view.inTime(settled, 'a touch'))) this.#view.gone(sid)
    })
  }

  /**
   * Destroys after the commit that is under way. A commit that the store does not answer cannot hold it up for longer than the time
   * limit: then it is destroyed at once, and again when that commit has ended.
   * @param done is called when the store has destroyed it, each time, and before anything else of this session runs
   * @param note is told in the same step
   */
  async destroy(sid: string, done: () => void, note?: Note): Promise<void> {
    const once = (): Promise<void> => {
      this.#view.known.forget(sid)
      return this.#view.driver.destroy(sid, note).then(done)
    }
    let inTurn = Promise.resolve()
    const begun = new Promise<void>((begin) => {
      inTurn = this.lanes.run(sid, undefined, async (hold) => {
        begin()
        const settled = once()
        hold(settledWithin(settled, this.#view.patience))
        await this.#view.inTime(settled, 'a destroy')
      })
    })
    inTurn.catch(() => undefined)
    try {
      await this.#view.inTime(begun, 'an earlier call for this session')
    } catch {
      return this.#view.inTime(once(), 'a destroy')
    }
    return inTurn
  }
}

function present(found: Seen | undefined): Document | undefined {
  return found?.record?.movedTo === undefined ? found?.document : undefined
}
