import { commitLog } from './commit-log.js'
import type { Sent, Witness } from './database.js'
import type { Edits } from './plan.js'
import type { Process, World } from './world.js'

/** An item is its name, or has it as `id`. */
export type Item = string | { id: string }
type Data = { items?: Item[]; keys?: Record<string, number>; sum?: number; n?: number }

export const nameOf = (item: Item): string => (typeof item === 'string' ? item : item.id)

const keysIn = (text = '{}'): string[] => Object.keys((JSON.parse(text) as Data).keys ?? {})

/** What is known of one write, whoever makes it. */
export interface Write {
  readonly number: number
  readonly sid: string
  item: string | undefined
  key: string | undefined
  readonly mayRemove: boolean
  removes: string | undefined
  adds: boolean
  counts: boolean
  /** When it was acknowledged, in steps; infinite until then. */
  acknowledged: number
}

interface Seen {
  text: string
  data: Data
  items: Set<string>
}

/** What has to hold of one session in the store. */
class SessionModel {
  readonly writes: Write[] = []
  readonly authors = new Map<string, Write>()
  /** Keys and items, and when their removal was begun and acknowledged. */
  readonly removals = new Map<string, Write>()
  isStored = false
  ended = false
  /** When it was removed, and then when somebody was told, in ms of the simulation. */
  removedAt = -1
  /** When its life was over; -1 where somebody has removed it. */
  expired = -1
  /** It is in the store although it has ended: only where that cannot compare. */
  isBack = false
  /** Its node was told that it was destroyed. */
  isEndKnown = false
  /** A late write has reached a store that cannot compare: it may have undone others, until its answer comes. */
  isDisturbed = false
  /** The number of the last write before that, by anybody. */
  disturbedUpTo = -1
  /** Keys that a late write has taken out of a store that cannot compare, and that are not back since. */
  readonly undoneKeys = new Set<string>()
  /** A node may have written to it after its `close()`. */
  isUntold = false
  /** The session that its data was moved to: its writes are in that one from the moment at which the two were joined. */
  movedTo: string | undefined
  /** They were joined: nothing of it has to be left. */
  isJoined = false
  /** It was never stored, and this process has ended it, as its browser has another one. */
  endedUnstoredBy: Process | undefined

  /** What the store was last seen to hold: mostly it is asked for again. */
  #seen: Seen | undefined

  /** @returns what is wrong with what the store holds */
  problem(text: string): string | undefined {
    if (this.#seen?.text !== text) {
      const data: Data = JSON.parse(text)
      this.#seen = { text, data, items: new Set(data.items?.map(nameOf)) }
    }
    const { data, items } = this.#seen
    const { items: list = [] } = data
    if (items.size !== list.length) return `an item is there twice: ${list.map(nameOf)}`
    const keys = data.keys ?? {}
    let [sums, summed, counts, counted] = [0, 0, 0, 0]
    for (const write of this.writes) {
      const { item, key, acknowledged } = write
      const isAcknowledged = acknowledged < Number.POSITIVE_INFINITY
      if (write.adds) sums++
      if (write.counts) counts++
      if (!isAcknowledged) continue
      if (write.adds) summed++
      if (write.counts) counted++
      if (item !== undefined && !items.has(item) && !this.removals.has(item)) return `the acknowledged item ${item} is missing`
      if (key !== undefined && keys[key] === undefined && !this.removals.has(key)) return `the acknowledged key ${key} is missing`
      const { removes } = write
      if (removes === undefined) continue
      if (keys[removes] !== undefined) return `the deleted key ${removes} is there again`
      if (items.has(removes)) return `the removed item ${removes} is there again`
    }
    const { sum = 0, n = 0 } = data
    if (sum < summed || sum > sums) return `the sum is ${sum}, after ${summed} acknowledged additions of ${sums}`
    if (n < counted || n > counts) return `the count is ${n}, after ${counted} acknowledged updates of ${counts}`
    return undefined
  }

  /** A write has come to a store that cannot compare. */
  noteUndone(before: string | undefined, text: string, isLate: boolean): void {
    if (isLate) for (const key of keysIn(before)) this.undoneKeys.add(key)
    if (this.undoneKeys.size > 0) for (const key of keysIn(text)) this.undoneKeys.delete(key)
  }

  /** What a reader who began at that step has to see. */
  missingFor(data: Data, since: number): string | undefined {
    const items = new Set(data.items?.map(nameOf))
    const keys = data.keys ?? {}
    for (const { acknowledged, item, key, removes } of this.writes) {
      if (acknowledged >= since) continue
      if (item !== undefined && !items.has(item) && !this.removals.has(item)) return `item ${item}`
      if (key !== undefined && keys[key] === undefined && !this.removals.has(key)) return `key ${key}`
      if (removes === undefined) continue
      if (keys[removes] !== undefined) return `the removal of key ${removes}`
      if (items.has(removes)) return `the removal of item ${removes}`
    }
    return undefined
  }
}

/** What must hold, at each step, of what the store holds and of what its readers see. */
export class Model implements Witness {
  readonly sessions = new Map<string, SessionModel>()
  readonly #world: World
  /** Is told what is stored. */
  onStored: ((sid: string, text: string) => void) | undefined
  readonly #isPlain: boolean
  /** Items are objects with an id, and are what is removed, in place of keys. */
  readonly #removesItems: boolean
  #writes = 0

  constructor(world: World, isPlain: boolean, removesItems = false) {
    this.#world = world
    this.#isPlain = isPlain
    this.#removesItems = removesItems
  }

  of(sid: string): SessionModel {
    let session = this.sessions.get(sid)
    if (!session) {
      session = new SessionModel()
      this.sessions.set(sid, session)
    }
    return session
  }

  /** A writer begins, and gets something to write that nobody else writes. */
  begin(sid: string, edits: Partial<Edits>, counts = false): Write {
    const number = ++this.#writes
    const session = this.of(sid)
    const write: Write = {
      number,
      sid,
      item: edits.push ? `i${number}` : undefined,
      key: edits.key ? `k${number}` : undefined,
      mayRemove: edits.remove === true,
      removes: undefined,
      adds: edits.sum === true,
      counts,
      acknowledged: Number.POSITIVE_INFINITY,
    }
    session.writes.push(write)
    return write
  }

  /** Makes the changes of a write. @param session what a request, a socket or a recipe has */
  apply(write: Write, session: Record<string, any>): void {
    const { item, key } = write
    const { writes, removals } = this.of(write.sid)
    if (write.mayRemove && this.#removesItems) this.#removeItem(write, session.items)
    else if (write.mayRemove && session.keys) {
      const removable = writes.find(
        ({ key: each, acknowledged }) =>
          each !== undefined && each in session.keys && acknowledged < Number.POSITIVE_INFINITY && !removals.has(each),
      )
      write.removes = removable?.key
      if (write.removes !== undefined) {
        removals.set(write.removes, write)
        // It is joined already, and a request that has loaded it before goes on.
        for (let to = this.of(write.sid).movedTo; to !== undefined; to = this.of(to).movedTo)
          this.of(to).removals.set(write.removes, write)
        delete session.keys[write.removes]
      }
    }
    if (item !== undefined) {
      session.items ??= []
      session.items.push(this.#removesItems ? { id: item } : item)
    }
    if (key !== undefined) {
      session.keys ??= {}
      session.keys[key] = write.number
    }
    if (write.adds) session.sum = (session.sum ?? 0) + 1
    if (write.counts) session.n = (session.n ?? 0) + 1
  }

  /** Several may remove the same one, also one whose write was not acknowledged. */
  #removeItem(write: Write, items: { id: string }[] = []): void {
    const { removals } = this.of(write.sid)
    const index = write.number % 3 === 0 ? items.length - 1 : items.findIndex(({ id }) => !removals.has(id))
    write.removes = items[index]?.id
    if (write.removes === undefined) return
    if (!removals.has(write.removes)) removals.set(write.removes, write)
    items.splice(index, 1)
  }

  /** It was acknowledged: from now on it has to be there. @param isRequest of a browser, which is not told that its session has ended */
  acknowledge(write: Write, stored: string | undefined, isRequest = false): void {
    if (write.acknowledged < Number.POSITIVE_INFINITY || !changes(write)) return
    const session = this.of(write.sid)
    const { endedUnstoredBy, isStored } = session
    // Others do not know the session that the browser has instead.
    if (isRequest && !isStored && endedUnstoredBy && endedUnstoredBy !== this.#world.current) return
    write.acknowledged = this.#world.steps
    // It is checked in the session that it was moved to.
    if (session.movedTo !== undefined) return
    if (session.ended || session.isDisturbed) return
    if (stored === undefined)
      this.#world.violate(`write ${write.number} was acknowledged, and the store has no session ${write.sid}`)
    else this.#check(write.sid, stored, `write ${write.number} was acknowledged`)
  }

  /** Somebody has read the session. @param since the step at which the read began */
  read(sid: string, data: object, since: number, reader: string): void {
    const session = this.of(sid)
    // A late write has brought it back, and a reader was faster than its answer: from then on the session counts as a new one of that id.
    if (session.isBack) session.ended = false
    if (session.isDisturbed) return
    const missing = session.missingFor(data, since)
    if (missing !== undefined) this.#world.violate(`${reader} does not see ${missing} of session ${sid}`)
  }

  wrote(sid: string, text: string): void {
    this.onStored?.(sid, text)
  }

  stored(sid: string, text: string, before: string | undefined, sent: Sent): void {
    const session = this.of(sid)
    if (this.#isPlain) {
      // What was on its way arrives all the same. It is put right when it is answered, if the end is known.
      const isLate = sent.late || (session.ended && sent.at <= session.removedAt)
      if (isLate) {
        session.isDisturbed = true
        session.disturbedUpTo = this.#writes
      }
      session.noteUndone(before, text, isLate)
      if (session.ended && !session.isEndKnown) session.ended = false
      if (session.ended) session.isBack = true
    }
    session.isStored = true
    if (session.isDisturbed) return
    if (session.ended && before === undefined) this.#world.violate(`session ${sid} has ended, and is stored again`)
    this.#check(sid, text, 'a write')
  }

  /** Somebody was told that it is destroyed. */
  destroyed(sid: string): void {
    const session = this.of(sid)
    session.isEndKnown = true
    // What was sent before that is destroyed again, in the session's turn.
    session.removedAt = this.#world.now
  }

  /** A process was killed, or has ended. Nobody destroys again what its late writes have brought back to a store that cannot compare. */
  killed(): void {
    if (!this.#isPlain) return
    for (const session of this.sessions.values()) if (session.isBack) session.ended = session.isBack = false
  }

  removed(sid: string, expired?: number): void {
    const session = this.of(sid)
    session.ended = true
    session.isBack = false
    session.removedAt = this.#world.now
    if (expired !== undefined) session.isEndKnown = false
    session.expired = expired ?? -1
    commitLog.current?.removed(sid)
    this.#world.log(`session ${sid} is gone`)
  }

  foundNothing(sid: string, from: Process): void {
    const session = this.of(sid)
    if (!session.isStored) session.endedUnstoredBy = from
  }

  /** All faults are over, and everything is at rest. */
  atRest(sid: string, text: string | undefined): void {
    const session = this.of(sid)
    // What was brought back by a write that was sent before is destroyed again.
    if (session.ended && text !== undefined) this.#world.violate(`session ${sid} has ended, and is in the store in the end`)
    // What a late write has undone is restored where nothing was committed on top of it.
    if (session.isDisturbed) return
    if (text !== undefined) this.#check(sid, text, 'in the end')
  }

  #check(sid: string, text: string, when: string): void {
    const session = this.of(sid)
    const problem = session.isJoined ? undefined : session.problem(text)
    if (problem !== undefined) this.#world.violate(`session ${sid}, ${when}: ${problem}; the store holds ${text}`)
  }
}

/** Does it change anything? */
export function changes({ item, key, removes, adds, counts }: Write): boolean {
  return item !== undefined || key !== undefined || removes !== undefined || adds || counts
}
