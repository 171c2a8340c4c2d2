import { debug, warnOnce } from '../debug.js'
import { SharedSessionError } from '../errors.js'
import type { Patch } from '../tracking/patch.js'
import type { ChangeOrigin, SessionReference, SharedSessionEvents } from '../types.js'
import type { LiveSession } from './live.js'
import type { Member } from './member.js'
import { currentRound, inRound, MAX_ROUNDS } from './rounds.js'

/** Hears everything that happens to the sessions of a store. */
export interface Listener {
  /** Does somebody listen to that? */
  hears(type: keyof SharedSessionEvents): boolean
  /** @returns whether somebody listened */
  hear<Type extends keyof SharedSessionEvents>(type: Type, payload: SharedSessionEvents[Type]): boolean
}

/** A change that a live session has heard of or made, on its way to those who are to be told. */
export interface Change {
  patches: Patch[]
  /** For each patch, who made it; absent where that was none of the session's sockets. */
  by: readonly ReadonlySet<object>[] | undefined
  origin: ChangeOrigin
  /** How many listeners led to it, see {@link currentRound}. */
  round: number
}

/** Tells those who listen what happens to sessions: the sessions' sockets, and `shared.events`. */
export class Herald {
  readonly #listeners = new Set<Listener>()

  /** @returns takes the listener away */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** @returns whether somebody listened */
  emit<Type extends keyof SharedSessionEvents>(
    type: Type,
    sid: string,
    payload: Omit<SharedSessionEvents[Type], keyof SessionReference>,
  ): boolean {
    const named = about(sid, payload) as unknown as SharedSessionEvents[Type]
    return [...this.#listeners].map((listener) => listener.hear(type, named)).includes(true)
  }

  #hears(type: keyof SharedSessionEvents): boolean {
    for (const listener of this.#listeners) if (listener.hears(type)) return true
    return false
  }

  /** A change of a session that is live in this process: each of its sockets hears what others made of it. */
  changed(live: LiveSession, { patches, by, origin, round }: Change): void {
    const next = round + 1
    if (next > MAX_ROUNDS) {
      this.failed(live, live.members, endlessRounds(), round)
      return
    }
    const hearing = [...live.members].filter((member) => member.hears)
    // Rounds are not counted where nobody listens: before Node 24 what counts them makes every promise of the process dearer.
    if (hearing.length === 0 && !this.#hears('session:changed')) return
    inRound(next, () => {
      for (const member of hearing) {
        const others = by ? patches.filter((_, index) => wroteOthers(by[index], member)) : patches
        if (others.length > 0) member.changed({ keys: keysOf(others), patches: others, origin })
      }
      this.changedElsewhere(live.sid, patches, origin)
    })
  }

  /** A change of a session of which this process has no socket. */
  changedElsewhere(sid: string, patches: Patch[], origin: ChangeOrigin): void {
    if (!this.#hears('session:changed')) return
    this.emit('session:changed', sid, { keys: keysOf(patches), patches, origin })
  }

  /** @param round that of the change that was saved: a listener may write again */
  saved(sid: string, patches: Patch[], round: number): void {
    // That the rounds have come to their end was said when the change itself was to be told.
    if (round < MAX_ROUNDS && this.#hears('session:saved'))
      inRound(round + 1, () => this.emit('session:saved', sid, { keys: keysOf(patches), patches }))
  }

  /** An error that is nobody's in particular: of the host's own code, such as a merge function. */
  problem(sid: string, error: SharedSessionError): void {
    debug('%s: %s', error.code, error.message)
    if (!this.emit('session:error', sid, error)) warnUnheard(error)
  }

  /** Warns once where nobody listens: an error that is only told must not crash its host. */
  failed(live: LiveSession, members: Iterable<Member>, error: SharedSessionError, round = currentRound()): void {
    debug('%s: %s', error.code, error.message)
    // One round more than for changes: the end of those is itself told as an error. Listeners that write cause the next error.
    if (round > MAX_ROUNDS) return
    inRound(round + 1, () => {
      const heard = [...members].map((member) => member.failed(error))
      if (!this.emit('session:error', live.sid, error) && !heard.includes(true)) warnUnheard(error)
    })
  }
}

/** Warns once per code of an error that no listener has heard. */
export function warnUnheard({ code, message }: SharedSessionError): void {
  warnOnce(`unheard ${code}`, `${code}: ${message} Listen to 'session:error' on the socket or on shared.events to handle it.`)
}

/** Names the session of a payload without showing its id to whoever prints the payload. */
function about<T extends object>(sid: string, payload: T): T & SessionReference {
  // An error has been with the sockets' listeners, and one may have frozen it.
  if (Object.isExtensible(payload)) {
    Object.defineProperty(payload, 'sessionID', { value: sid, enumerable: false, configurable: true })
  }
  return payload as T & SessionReference
}

function keysOf(patches: Patch[]): string[] {
  return [...new Set(patches.map((patch) => String(patch.path[0])))]
}

function wroteOthers(authors: ReadonlySet<object> = new Set(), member: Member): boolean {
  return authors.size !== 1 || !authors.has(member)
}

function endlessRounds(): SharedSessionError {
  return new SharedSessionError(
    'LISTENER_LOOP',
    `Listeners of session:changed woke each other ${MAX_ROUNDS} times: each wrote to the session again. The change is saved, but not told any more. Do not write in every session:changed.`,
  )
}
