import type { Store } from 'express-session'
import type { SharedSessionOptions } from '../../src/index.js'

/**
 * Where a value lies: a key at the top, a key of the object `bag`, an element of `words` (strings) or of `items` (objects with an id).
 * Those are there from the start; `made1` (an object in an object) and `list1` (strings) are made by whoever finds them missing.
 */
export interface Place {
  in: 'top' | 'bag' | 'words' | 'items' | `made${number}` | `list${number}`
  name: string
}

/** One change that a client asks for. Values are unique, so that what is found says who wrote it. */
export type Change =
  | { do: 'set'; place: Place; value: string }
  | { do: 'delete'; place: Place }
  | { do: 'increment'; counter: string }

/** What a client asks of one process: changes, or a read where there are none. */
export interface Step {
  changes: Change[]
  /** `update`: all changes in one recipe. `http`: on `req.session`. `live`: on the socket's live session. */
  via: 'http' | 'live' | 'update'
  /** Over which connection it goes. */
  by: 'http' | 'socket'
  process: number
  /** The session middleware with `resave: true` and `rolling: true`. */
  resave: boolean
  /** Saves explicitly after so many changes; what comes after is saved at the end. */
  saveAfter: number | undefined
  /** Ms between the load of the session and the first change, and between the last change and the response. */
  before: number
  after: number
}

/** What a process says of a step that it has done. */
export interface Answer {
  /** For each change: was there something to delete, or what the counter became. */
  effects: (boolean | number)[]
  /** The document as the client saw it, for a read. */
  seen?: Doc
}

export type Doc = Record<string, any>

/** A step that was carried out, with what is known of it. */
export interface Operation extends Step {
  id: number
  client: string
  /** Of the processes that were in that place one after the other, the one that was asked. Absent: none was reached. */
  generation?: number
  /** When it was asked for, and when it was acknowledged, in one order of all that the clients did and saw. */
  invoked: number
  /** Absent: not acknowledged. It may have happened, may happen later, or never. */
  completed?: number
  effects?: (boolean | number)[]
  seen?: Doc
  /** Why it was not acknowledged. */
  error?: string
}

export interface History {
  operations: Operation[]
  /** What the store holds when everything has come to rest. */
  final: Doc | undefined
  /** What the store holds after the session was destroyed while writers were under way; absent where that was not tried. */
  afterwards?: Doc | undefined
  destroyed?: boolean
}

/** What every session starts with. */
export function emptyDocument(): Doc {
  return { bag: {}, words: [], items: [], counters: { a: 0, b: 0 } }
}

export function errorLabel({ in: container, name }: Place): string {
  return container === 'top' ? name : `${container}.${name}`
}

/** Something that must not be, and the operations it follows from. */
export interface Violation {
  what: string
  operations: Operation[]
}

/** Reads the store past the library. */
export interface Reader {
  read(sid: string): Promise<Doc | undefined>
  close(): Promise<unknown>
}

/** A store of the processes, on a server or in a file. */
export interface Backend {
  open(url: string): Promise<Store>
  /** Makes it ready for the processes. */
  read(url: string): Promise<Reader>
  /** What the application has to give beside the store. */
  options?(store: Store): Pick<SharedSessionOptions, 'driver' | 'redis'>
}
