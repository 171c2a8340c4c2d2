import { sha256 } from '../../src/util/hash.js'
import type { Model } from './model.js'
import type { World } from './world.js'

/** The sessions of browsers that are joined: what is written in one is in the other from then on. */
export class Moves {
  readonly #world: World
  readonly #model: Model
  /** Sessions that are marked as moved, by those that they are moved to: the ids of the commits that join them. */
  readonly #underWay = new Map<string, Map<string, string>>()

  constructor(world: World, model: Model) {
    this.#world = world
    this.#model = model
  }

  /** The store holds this. */
  stored(sid: string, text: string): void {
    const { ids = [], movedTo } = JSON.parse(text).cookie.sharedsession ?? {}
    if (movedTo !== undefined) this.#begin(sid, movedTo)
    else this.#takeBack(sid)
    for (const [target, sessions] of this.#underWay) {
      // It was moved on before they were joined to it.
      if (this.end(target).sid !== sid) continue
      for (const [from, id] of sessions) if (ids.includes(id)) this.#join(from, sid)
    }
  }

  #begin(sid: string, to: string): void {
    const session = this.#model.of(sid)
    if (session.movedTo !== undefined) return
    session.movedTo = to
    const underWay = this.#underWay.get(to) ?? new Map<string, string>()
    this.#underWay.set(to, underWay.set(sid, sha256(`sharedsession move\0${sid}\0${to}`).slice(0, 12)))
    this.#world.log(`session ${sid} is moved to ${to}`)
  }

  /** It was moved to a session that was moved to it. */
  #takeBack(sid: string): void {
    const session = this.#model.of(sid)
    if (session.movedTo === undefined) return
    this.#underWay.get(session.movedTo)?.delete(sid)
    session.movedTo = undefined
    session.isJoined = false
    this.#world.log(`session ${sid} is not moved`)
  }

  #join(from: string, to: string): void {
    const [session, target] = [this.#model.of(from), this.#model.of(to)]
    this.#underWay.get(session.movedTo ?? to)?.delete(from)
    session.isJoined = true
    this.#world.log(`session ${from} is joined to ${to}`)
    if (session.isDisturbed) target.isDisturbed = true
    for (const write of session.writes) {
      // Readers see it from now on.
      if (write.acknowledged < Number.POSITIVE_INFINITY) write.acknowledged = this.#world.steps
      if (!target.writes.includes(write)) target.writes.push(write)
    }
    for (const [key, write] of session.removals) target.removals.set(key, write)
  }

  /**
   * @param seen two nodes may have moved two sessions without data to each other
   * @returns what a session is called after all moves, and whether it was joined to that
   */
  end(sid: string, seen: readonly string[] = []): { sid: string; isJoined: boolean } {
    const { movedTo } = this.#model.of(sid)
    if (movedTo === undefined || seen.includes(movedTo)) return { sid, isJoined: true }
    const next = this.end(movedTo, [...seen, sid])
    return { sid: next.sid, isJoined: next.isJoined && !this.#underWay.get(movedTo)?.has(sid) }
  }

  /** All faults are over, and each browser has sent a request. */
  atRest(): void {
    for (const [sid, { writes, isDisturbed, movedTo }] of this.#model.sessions) {
      if (movedTo === undefined || isDisturbed) continue
      const { sid: last, isJoined } = this.end(sid)
      const target = this.#model.of(last)
      const hadData = writes.some(({ acknowledged }) => acknowledged < Number.POSITIVE_INFINITY)
      if (hadData && !isJoined && !target.ended && !target.isDisturbed)
        this.#world.violate(`what session ${sid} had is not in session ${last}, to which it was moved`)
    }
  }
}
