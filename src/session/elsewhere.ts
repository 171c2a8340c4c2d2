import type { Server } from 'socket.io'
import { AdapterBus, reachesOthers } from '../bus/adapter.js'
import type { Bus } from '../bus/contract.js'
import type { Commits } from '../store/commit.js'
import type { Document } from '../store/document.js'
import type { Driver } from '../store/driver.js'
import { overflow } from '../tracking/overflow.js'
import type { EndReason } from '../types.js'
import type { CommitClock } from './commit-clock.js'
import type { CommitMessage } from './follow.js'
import type { LiveSession } from './live.js'
import { Looks, type LooksHost } from './looks.js'
import { Nodes, type NodesHost } from './nodes.js'
import type { Registry } from './registry.js'

/** Those that nobody looks at any more, as their sockets have gone, are not taken out. */
const MOST_TOLD = 10_000

/** Messages of one session that wait for its turn. Where there are more, the session is read instead. */
const MOST_WAITING = 32

/** How another process says that it ended a session. */
interface ToldEnd {
  reason: EndReason
  /** Settles when the sockets may be ended; `undefined`: at once. */
  after: Promise<unknown> | undefined
}

/** What is known of the store's sessions here. */
export interface ElsewhereHost {
  readonly registry: Registry
  readonly commitClock: CommitClock
  /** A session that was stored is not in the store any more. */
  gone(sid: string): void
  /** Another process says that it has ended. */
  endedElsewhere(sid: string): void
}

/** Which bus a store's processes use. */
export interface ElsewhereOptions {
  driver: Driver
  /** `undefined`: the store's, else socket.io's adapter; `false`: none. */
  bus: false | Bus | undefined
  maxBytes: number
  rotationWait: number
}

/** What other processes do to the sessions that are live here: heard by the bus, found by looking, taken in between two commits. */
export class Elsewhere implements NodesHost, LooksHost {
  readonly nodes: Nodes
  readonly #host: ElsewhereHost
  readonly #commits: Commits
  readonly #options: ElsewhereOptions
  readonly #looks = new Looks(this)
  /** Until the store has confirmed it. */
  readonly #toldEnds = new Map<string, ToldEnd>()
  /** By session: how many messages wait for its turn. */
  readonly #waiting = new Map<string, number>()

  constructor(host: ElsewhereHost, commits: Commits, options: ElsewhereOptions) {
    this.#host = host
    this.#commits = commits
    this.#options = options
    this.nodes = new Nodes(this, options.driver, options)
  }

  /** Begins to listen, or begins again after {@link close}. */
  open(): void {
    this.#looks.open()
    const { bus, driver } = this.#options
    if (bus === false || this.nodes.connected) return
    const own = bus ?? driver.bus?.()
    if (own) this.nodes.start(own)
  }

  /** Socket.IO's adapter is the bus where the store has none. */
  server(io: Server): void {
    if (this.#options.bus !== false && !this.nodes.connected && reachesOthers(io)) this.nodes.start(new AdapterBus(io))
  }

  close(): void {
    this.#looks.close()
    this.nodes.close()
  }

  /** How a session is said to have ended, once. */
  toldEnd(sid: string): ToldEnd | undefined {
    const told = this.#toldEnds.get(sid)
    this.#toldEnds.delete(sid)
    return told
  }

  /** Is it said to have ended, and not looked for yet? */
  isTold(sid: string): boolean {
    return this.#toldEnds.has(sid)
  }

  // What nodes tell.

  committedElsewhere(sid: string, message: CommitMessage, bytes: number): void {
    const waiting = this.#waiting.get(sid) ?? 0
    if (waiting >= MOST_WAITING) {
      this.#looks.ask([sid])
      return
    }
    this.#waiting.set(sid, waiting + 1)
    const heard = this.#commits.inTurn(sid, async () => {
      const live = this.#living(sid)
      const after = live?.after(message, bytes)
      if (after === undefined) this.#looks.ask([sid])
      else if (after !== 'known') this.#take(live as LiveSession, after, bytes)
    })
    heard.catch(() => this.#looks.ask([sid])).finally(() => this.#waited(sid))
  }

  /** Nobody can end a session by saying so: the store is asked. */
  endedElsewhere(sid: string, reason: 'destroyed' | 'regenerated', after: Promise<unknown> | undefined): void {
    this.#host.endedElsewhere(sid)
    const live = this.#living(sid)
    if (!live) return
    // One that was never stored can only have been given up for another one, which its sockets are to come back to.
    this.#toldEnds.set(sid, { reason: live.stored ? reason : 'regenerated', after })
    overflow(this.#toldEnds, MOST_TOLD)
    this.#looks.ask([sid])
  }

  changedUnheard(sids: Iterable<string>): void {
    this.#looks.ask(sids)
  }

  // What looking needs.

  now(): number {
    return this.#host.commitClock.now
  }

  readMany(sids: readonly string[]): Promise<(Document | undefined)[] | undefined> {
    return this.#commits.readMany(sids)
  }

  isLive(sid: string): boolean {
    // One that was never stored can only be told to have ended: its browser has another one.
    return this.#living(sid)?.stored === true || this.#toldEnds.has(sid)
  }

  take(sid: string, found: { document: Document | undefined; moment: number } | undefined): Promise<void> {
    return this.#commits.inTurn(sid, async (read) => {
      // What was committed or heard since then may not be in it.
      const document = found && !this.#host.commitClock.since(sid, found.moment) ? found.document : await read()
      const live = this.#living(sid)
      if (!live) return
      if (document) {
        this.#toldEnds.delete(sid)
        this.#take(live, document)
      } else if (live.stored || this.#toldEnds.has(sid)) this.#host.gone(sid)
    })
  }

  /** @param told bytes of the message that says so; 0 where the store was read */
  #take(live: LiveSession, document: Document, told = 0): void {
    this.#host.commitClock.committed(live.sid)
    live.heard(document, 'remote', told)
  }

  #waited(sid: string): void {
    const waiting = (this.#waiting.get(sid) ?? 1) - 1
    if (waiting > 0) this.#waiting.set(sid, waiting)
    else this.#waiting.delete(sid)
  }

  #living(sid: string): LiveSession | undefined {
    const live = this.#host.registry.get(sid)
    return live?.ended ? undefined : live
  }
}
