import { AsyncLocalStorage } from 'node:async_hooks'
import { debug, warnOnce } from '../debug.js'
import type { Patch } from '../document/patch.js'
import { SharedSessionError } from '../errors.js'
import type { ChangeOrigin, SessionReference, SharedSessionEvents } from '../types.js'
import type { Member } from './member.js'

const depths = new AsyncLocalStorage<number>()

/** A listener that writes wakes other listeners, which may write again: deeper than this no listener is called any more. */
export const MAX_DEPTH = 8

/** How many listeners, one waking the next, led to the code that runs now; 0 outside of any. Also across awaits and timers. */
export function currentDepth(): number {
  return depths.getStore() ?? 0
}

/** Where the events of a store's sessions go: the `shared.events` of one `sharedsession()` call. */
export interface EventSink {
  hasListener(type: keyof SharedSessionEvents): boolean
  /** @returns whether there was a listener */
  emit<Type extends keyof SharedSessionEvents>(type: Type, payload: SharedSessionEvents[Type]): boolean
}

/**
 * A change of a live session, on its way to listeners. Two sockets have each written a key since the last save:
 *
 *     {
 *       "patches": [{ "op": "replace", "path": ["n"], "value": 2 }, { "op": "add", "path": ["items", 0], "value": "tea" }],
 *       "by": [Set { socketA }, Set { socketB }],
 *       "origin": "socket",
 *       "depth": 0
 *     }
 *
 * Socket A is notified of the second patch alone, socket B of the first, a third socket of both.
 */
export interface Change {
  patches: Patch[]
  /** For each patch, the members that wrote it; absent where none of the session's sockets did. */
  by: readonly ReadonlySet<object>[] | undefined
  /** What these members get in its place: they had another state before it. */
  instead?: ReadonlyMap<object, Patch[]>
  origin: ChangeOrigin
  /** How many listeners led to it, see {@link currentDepth}. */
  depth: number
}

/** Calls the listeners of session events: on the session's sockets, and on `shared.events`. */
export class Notifier {
  readonly #sinks = new Set<EventSink>()

  /** @returns removes the sink */
  subscribe(sink: EventSink): () => void {
    this.#sinks.add(sink)
    return () => this.#sinks.delete(sink)
  }

  /** @returns whether there was a listener */
  emit<Type extends keyof SharedSessionEvents>(
    type: Type,
    sid: string,
    payload: Omit<SharedSessionEvents[Type], keyof SessionReference>,
  ): boolean {
    // TypeScript does not see that what was omitted from the generic type is back.
    const withSid = withSessionID(sid, payload) as unknown as SharedSessionEvents[Type]
    return [...this.#sinks].map((sink) => sink.emit(type, withSid)).includes(true)
  }

  hasListener(type: keyof SharedSessionEvents): boolean {
    for (const sink of this.#sinks) if (sink.hasListener(type)) return true
    return false
  }

  /** Does anybody want to know what changes in a session? @param members its sockets here */
  isListenedTo(members: Iterable<Member>): boolean {
    for (const member of members) if (member.hasChangeListeners) return true
    return this.hasListener('session:changed')
  }

  /** Notifies of a change of a session with sockets here: each member gets the patches that others wrote. */
  notifyChange(sid: string, members: Iterable<Member>, change: Change): void {
    const { patches, origin, depth, instead } = change
    if (patches.length === 0 && !instead) return
    const next = depth + 1
    if (next > MAX_DEPTH) {
      this.notifyFailure(sid, members, listenerLoop(), depth)
      return
    }
    const listening = [...members].filter((member) => member.hasChangeListeners)
    // Without listeners no depth is counted: before Node 24 an AsyncLocalStorage in use slows all promises of the process.
    if (listening.length === 0 && !this.hasListener('session:changed')) return
    depths.run(next, () => {
      for (const member of listening) {
        const others = instead?.get(member) ?? byOthers(change, member)
        if (others.length > 0) member.emitChange({ keys: keysOf(others), patches: others, origin })
      }
      if (patches.length > 0) this.notifyGlobal(sid, patches, origin)
    })
  }

  /** Notifies `shared.events` alone: the session has no socket in this process. */
  notifyGlobal(sid: string, patches: Patch[], origin: ChangeOrigin): void {
    if (!this.hasListener('session:changed')) return
    this.emit('session:changed', sid, { keys: keysOf(patches), patches, origin })
  }

  /** @param depth of the saved change: a listener may write again */
  notifySaved(sid: string, patches: Patch[], depth: number): void {
    // At the greatest depth, the change itself was reported as a listener loop already.
    if (depth >= MAX_DEPTH || !this.hasListener('session:saved')) return
    depths.run(depth + 1, () => this.emit('session:saved', sid, { keys: keysOf(patches), patches }))
  }

  /** Reports an error that concerns no socket in particular, such as that of a merge function. */
  problem(sid: string, error: SharedSessionError): void {
    debug('%s: %s', error.code, error.message)
    if (!this.emit('session:error', sid, error)) warnUnhandled(error)
  }

  /** Reports an error to members and to `shared.events`. Without listeners it warns: an error of a save must not crash the process. */
  notifyFailure(sid: string, members: Iterable<Member>, error: SharedSessionError, depth = currentDepth()): void {
    debug('%s: %s', error.code, error.message)
    // One deeper than for changes, because LISTENER_LOOP is itself such an error. Its listeners may write and so cause the next error.
    if (depth > MAX_DEPTH) return
    depths.run(depth + 1, () => {
      const handled = [...members].map((member) => member.emitError(error))
      if (!this.emit('session:error', sid, error) && !handled.includes(true)) warnUnhandled(error)
    })
  }
}

/** Warns, once per code, of an error that has no listener. */
export function warnUnhandled({ code, message }: SharedSessionError): void {
  warnOnce(`unhandled ${code}`, `${code}: ${message} Listen to 'session:error' on the socket or on shared.events to handle it.`)
}

/** Adds the session's id so that printing the payload does not show it. */
function withSessionID<T extends object>(sid: string, payload: T): T & SessionReference {
  // An error was given to the sockets' listeners before, and one of them may have frozen it.
  if (Object.isExtensible(payload)) {
    Object.defineProperty(payload, 'sessionID', { value: sid, enumerable: false, configurable: true })
  }
  return payload as T & SessionReference
}

function keysOf(patches: Patch[]): string[] {
  return [...new Set(patches.map((patch) => String(patch.path[0])))]
}

/** The patches that a socket has not written by itself. */
export function byOthers({ patches, by }: Pick<Change, 'patches' | 'by'>, member: object): Patch[] {
  if (!by) return patches
  return patches.filter((_, index) => {
    const authors = by[index]
    return authors?.size !== 1 || !authors.has(member)
  })
}

function listenerLoop(): SharedSessionError {
  return new SharedSessionError(
    'LISTENER_LOOP',
    `Listeners of session:changed woke each other ${MAX_DEPTH} times: each wrote to the session again. The change is saved, but no listener is called for it. Do not write in every session:changed.`,
  )
}
