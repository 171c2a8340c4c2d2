// What a server and a mirror in a page send each other. This file has types and one name, and is used on both sides: it imports nothing.
//
// The client asks in its handshake: `auth['session:mirror'] = [held, canRenew]`. A client that is connected already emits
// `session:mirror` with `held`. The server sends frames only to clients that have asked, each as the one argument of the event.
// A client that cannot apply a frame asks again, once, with the tag that it holds; or with 0, where a patch does not fit the state that it is
// for. It ignores frames that it does not know.
//
// | frame            | the client                                                                                                     |
// |------------------|----------------------------------------------------------------------------------------------------------------|
// | `{ t, s, n }`    | takes `s` as its state and `t` as its tag                                                                        |
// | `{ t, n }`       | holds the state with the tag `t` already: nothing was missed                                                      |
// | `{ t, f, p, n }` | drops it if it holds `t`; applies `p` if it holds `f`, and then holds `t`; asks again in any other case           |
// | `{ e }`          | keeps its state, which is not live any more until another frame comes                                             |
// | `{ end }`        | forgets its state: the session has ended                                                                          |
//
// The frames of one connection come in order. A commit's frame comes before the ack of the event that caused the commit.

/** The name of the event, and of the client's question in `auth`. */
export const MIRROR_EVENT = 'session:mirror'

/** A value as JSON has it. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue }

/** The published state: always an object. Its keys are sorted. */
export type MirrorState = { [key: string]: JsonValue }

/** Names a state by its content: 12 characters. Equal states have equal tags, on every server. */
export type Tag = string

/** The tag of the state that the client holds; 0 without one. */
export type HeldTag = Tag | 0

/**
 * `auth['session:mirror']`: the held tag, and 1 if the client can have its browser's session renewed. Such a client is refused, with
 * `error.data.code === 'RENEWAL_NEEDED'`, if its cookie names no stored session.
 */
export type MirrorQuestion = [held: HeldTag, canRenew: 0 | 1]

/** Keys of objects and indexes of arrays, from the root. `[]` is the state itself. */
export type PatchPath = (string | number)[]

/**
 * One step of a change. The steps are applied in order, each one to the result of the one before.
 *
 * - `[path, value]` sets the value at the path. With the path `[]` it replaces the whole state.
 * - `[path]` deletes a key of an object.
 * - `[path, start, remove, items]` removes as many elements of the array at the path, from `start` on, and inserts `items` there.
 *
 * The parents of a path exist, and are objects for strings and arrays for numbers. Nothing is undefined, and no key is `__proto__`.
 */
export type MirrorPatch =
  | [path: PatchPath, value: JsonValue]
  | [path: PatchPath]
  | [path: PatchPath, start: number, remove: number, items: JsonValue[]]

/**
 * Names the session, and is not its id: tabs of a browser compare it. 12 characters. It is on each frame that answers a connection or a
 * question.
 */
export type SessionName = string

/** The whole state. */
export interface FullFrame {
  t: Tag
  s: MirrorState
  n: SessionName
}

/** What the client holds is the state of now. */
export interface SameFrame {
  t: Tag
  n: SessionName
}

/** A change from the state with the tag `f` to the one with the tag `t`. */
export interface DeltaFrame {
  t: Tag
  f: Tag
  p: MirrorPatch[]
  n?: SessionName
}

/** The server could not publish a state, or publishes none (`NOT_PUBLISHED`). */
export interface ErrorFrame {
  e: 'PUBLISH_FAILED' | 'TOO_LARGE_TO_PUBLISH' | 'NOT_PUBLISHED'
}

/** The session has ended. The connection is closed next, unless the server's option `onEnd` is `'keep'`. */
export interface EndFrame {
  end: 'destroyed' | 'expired' | 'regenerated'
}

export type MirrorFrame = FullFrame | SameFrame | DeltaFrame | ErrorFrame | EndFrame
