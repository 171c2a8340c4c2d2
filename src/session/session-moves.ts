import type { JsonObject } from '../document/json.js'
import { mergeTwoWay } from '../document/merge.js'
import { diff } from '../document/patch.js'
import { Snapshot } from '../store/snapshot.js'
import type { CommitResult, Transaction } from '../store/transaction.js'
import { evictOldest } from '../util/bounded-map.js'
import { sha256 } from '../util/hash.js'
import type { SessionReplica } from './replica.js'

/** How long the store keeps a session that was moved, in ms: a request on another node may have loaded it before and save it yet. */
const KEPT = 5000
/** Moved sessions that this process remembers. */
const MOST = 10_000

/** What moving a session needs of the process around it. */
export interface MoveHost {
  /** Other processes use the store as well, and it keeps writers apart. */
  readonly shares: boolean
  live(sid: string): SessionReplica | undefined
  /** Settles when what is due of a session is saved. */
  beforeRead(sid: string): Promise<void> | undefined
  /** What the store holds. */
  read(sid: string): Promise<Snapshot | undefined>
  commit(sid: string, writer: Transaction): Promise<CommitResult>
  /** Ends it here and tells the other processes; afterwards the store has it no more. */
  remove(sid: string): Promise<void>
  /** Ends it here, and nothing else. */
  end(sid: string): void
}

/**
 * Moves what one session holds into another one, once, and ends it. Each step can be done again by anybody, so that a process which dies
 * in between loses nothing:
 *
 * 1. The store's copy of the one is marked as moved. From then on nothing is written to it, on any node.
 * 2. What it held is joined to the other one, by a commit whose id is made of both: it is not done twice.
 * 3. The one is removed.
 */
export class SessionMoves {
  readonly #host: MoveHost
  /** By the session that is moved. */
  readonly #underWay = new Map<string, Promise<boolean>>()
  /** By the session that they are moved to. */
  readonly #arriving = new Map<string, Set<Promise<unknown>>>()
  readonly #moved = new Map<string, string>()

  constructor(host: MoveHost) {
    this.#host = host
  }

  /** Where a session has been moved. */
  to(sid: string): string | undefined {
    return this.#moved.get(sid)
  }

  note(sid: string, to: string): void {
    this.#moved.set(sid, to)
    evictOldest(this.#moved, MOST)
  }

  /** Settles when what is being moved to a session has arrived; `undefined` where nothing is. */
  arrived(sid: string): Promise<unknown> | undefined {
    const arriving = this.#arriving.get(sid)
    return arriving && Promise.allSettled(arriving)
  }

  /**
   * Rejects with what the store reports: then it can be tried again.
   * @returns `false` where the session that it is to be moved to is not there; nothing was done
   */
  move(sid: string, to: string): Promise<boolean> {
    const underWay = this.#underWay.get(sid)
    if (underWay) return underWay
    const moving = this.#move(sid, to).finally(() => this.#underWay.delete(sid))
    this.#underWay.set(sid, moving)
    this.#arrives(to, moving)
    return moving
  }

  #arrives(to: string, moving: Promise<unknown>): void {
    const arriving = this.#arriving.get(to) ?? new Set()
    this.#arriving.set(to, arriving.add(moving))
    const over = (): void => {
      arriving.delete(moving)
      if (arriving.size === 0 && this.#arriving.get(to) === arriving) this.#arriving.delete(to)
    }
    moving.then(over, over)
  }

  async #move(sid: string, to: string): Promise<boolean> {
    const host = this.#host
    if (!(await this.#isThere(to))) return false
    await host.beforeRead(sid)
    const taken = takingWriter(to, () => {
      this.note(sid, to)
      host.end(sid)
    })
    await host.commit(sid, taken)
    const { data } = taken
    if (data && Object.keys(data).length > 0) {
      const result = await host.commit(to, joiningWriter(data, moveId(sid, to)))
      if (result === 'gone') return false
    }
    if (host.shares && data) {
      setTimeout(() => host.remove(sid).catch(() => undefined), KEPT).unref()
    } else await host.remove(sid)
    return true
  }

  async #isThere(sid: string): Promise<boolean> {
    const live = this.#host.live(sid)
    if (!live || live.ended || live.stored) return (await this.#host.read(sid)) !== undefined
    // Its browser has its cookie, so it is as good as stored; only a stored one can be joined to.
    await live.save()
    return true
  }
}

/**
 * Marks a session as moved, and has its data.
 * @param taken is called before anything else is written to the session
 */
function takingWriter(to: string, taken: () => void): Transaction & { readonly data: JsonObject | undefined } {
  let data: JsonObject | undefined
  return {
    origin: 'remote',
    mustExist: true,
    moves: true,
    get data() {
      return data
    },
    rebase(theirs) {
      data = theirs?.data
      if (theirs && theirs.movedTo === undefined) return { snapshot: theirs, write: true, patches: [], movedTo: to }
      taken()
      return undefined
    },
    committed: taken,
    aborted() {},
  }
}

function joiningWriter(data: JsonObject, id: string): Transaction {
  return {
    origin: 'remote',
    mustExist: true,
    rebase(theirs) {
      if (!theirs || theirs.history?.ids.includes(id)) return undefined
      const joined = mergeTwoWay(theirs.data, data)
      return {
        snapshot: new Snapshot({ cookie: theirs.cookie, data: joined }),
        write: true,
        patches: diff(theirs.data, joined),
        id,
      }
    },
    committed() {},
    aborted() {},
  }
}

/** As long as other commits' ids. */
function moveId(sid: string, to: string): string {
  return sha256(`sharedsession move\0${sid}\0${to}`).slice(0, 12)
}
