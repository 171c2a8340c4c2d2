import { debug, warnOnce } from '../debug.js'
import type { Patch } from '../document/patch.js'
import { SharedSessionError } from '../errors.js'
import type { ChangeOrigin, SessionReference, SharedSessionEvents } from '../types.js'
import type { Member } from './member.js'
import { currentDepth, MAX_DEPTH, runAtDepth } from './notification-depth.js'
import type { SessionReplica } from './replica.js'

/** Hears everything that happens to the sessions of a store. */
export interface EventSink {
  /** Does somebody listen to that? */
  hasListener(type: keyof SharedSessionEvents): boolean
  /** @returns whether somebody listened */
  emit<Type extends keyof SharedSessionEvents>(type: Type, payload: SharedSessionEvents[Type]): boolean
}

/** A change that a live session has heard of or made, on its way to those who are to be told. */
export interface Change {
  patches: Patch[]
  /** For each patch, who made it; absent where that was none of the session's sockets. */
  by: readonly ReadonlySet<object>[] | undefined
  origin: ChangeOrigin
  /** How many listeners led to it, see {@link currentDepth}. */
  depth: number
}

/** Tells those who listen what happens to sessions: the sessions' sockets, and `shared.events`. */
export class Notifier {
  readonly #listeners = new Set<EventSink>()

  /** @returns takes the listener away */
  subscribe(listener: EventSink): () => void {
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
    return [...this.#listeners].map((listener) => listener.emit(type, named)).includes(true)
  }

  #hasListener(type: keyof SharedSessionEvents): boolean {
    for (const listener of this.#listeners) if (listener.hasListener(type)) return true
    return false
  }

  /** A change of a session that is live in this process: each of its sockets hears what others made of it. */
  notifyChange(live: SessionReplica, { patches, by, origin, depth: round }: Change): void {
    const next = round + 1
    if (next > MAX_DEPTH) {
      this.notifyFailure(live, live.members, endlessRounds(), round)
      return
    }
    const hearing = [...live.members].filter((member) => member.hasChangeListeners)
    // Rounds are not counted where nobody listens: before Node 24 what counts them makes every promise of the process dearer.
    if (hearing.length === 0 && !this.#hasListener('session:changed')) return
    runAtDepth(next, () => {
      for (const member of hearing) {
        const others = by ? patches.filter((_, index) => wroteOthers(by[index], member)) : patches
        if (others.length > 0) member.changed({ keys: keysOf(others), patches: others, origin })
      }
      this.notifyGlobal(live.sid, patches, origin)
    })
  }

  /** A change of a session of which this process has no socket. */
  notifyGlobal(sid: string, patches: Patch[], origin: ChangeOrigin): void {
    if (!this.#hasListener('session:changed')) return
    this.emit('session:changed', sid, { keys: keysOf(patches), patches, origin })
  }

  /** @param round that of the change that was saved: a listener may write again */
  notifySaved(sid: string, patches: Patch[], round: number): void {
    // That the rounds have come to their end was said when the change itself was to be told.
    if (round < MAX_DEPTH && this.#hasListener('session:saved'))
      runAtDepth(round + 1, () => this.emit('session:saved', sid, { keys: keysOf(patches), patches }))
  }

  /** An error that is nobody's in particular: of the host's own code, such as a merge function. */
  problem(sid: string, error: SharedSessionError): void {
    debug('%s: %s', error.code, error.message)
    if (!this.emit('session:error', sid, error)) warnUnhandled(error)
  }

  /** Warns once where nobody listens: an error that is only told must not crash its host. */
  notifyFailure(live: SessionReplica, members: Iterable<Member>, error: SharedSessionError, round = currentDepth()): void {
    debug('%s: %s', error.code, error.message)
    // One round more than for changes: the end of those is itself told as an error. Listeners that write cause the next error.
    if (round > MAX_DEPTH) return
    runAtDepth(round + 1, () => {
      const heard = [...members].map((member) => member.failed(error))
      if (!this.emit('session:error', live.sid, error) && !heard.includes(true)) warnUnhandled(error)
    })
  }
}

/** Warns once per code of an error that no listener has heard. */
export function warnUnhandled({ code, message }: SharedSessionError): void {
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
    `Listeners of session:changed woke each other ${MAX_DEPTH} times: each wrote to the session again. The change is saved, but not told any more. Do not write in every session:changed.`,
  )
}
