import type {
  DeltaFrame,
  ErrorFrame,
  FullFrame,
  HeldTag,
  MirrorPatch,
  MirrorState,
  SameFrame,
  SessionName,
  Tag,
} from '../../client/protocol.js'
import { sha256 } from '../../util/hash.js'
import { evictOldest } from '../../util/maps.js'
import type { Projection } from './projection.js'
import { stateDelta } from './state-delta.js'

/** The most that the last changes of a session may take, in characters of JSON. */
const MOST_CHANGES = 8192

/** A change of a published state. */
interface Change {
  readonly from: Tag
  readonly to: Tag
  /** The patches as JSON. */
  readonly patches: string
}

/**
 * What a session publishes on this node, and how it came to that: one for all its sockets. It keeps texts: most sessions do not change for a long
 * time.
 */
export class PublishedState {
  readonly name: SessionName
  /** Why the last commit was not published: the state is that of an earlier one. */
  error: ErrorFrame['e'] | undefined
  #state: Projection | undefined
  #changes: Change[] = []
  #changesLength = 0

  constructor(sid: string) {
    this.name = sessionName(sid)
  }

  /** `undefined` as long as nothing could be published. */
  get tag(): Tag | undefined {
    return this.#state?.tag
  }

  get state(): MirrorState {
    return JSON.parse(this.#state?.text ?? '{}')
  }

  /** How much of the memory it takes, in characters. */
  get length(): number {
    return (this.#state?.text.length ?? 0) + this.#changesLength
  }

  /** @returns whether there is something to send */
  set(next: Projection): boolean {
    const before = this.#state
    const wasWrong = this.error !== undefined
    this.error = undefined
    if (before?.tag === next.tag) return wasWrong
    this.#state = next
    if (before) this.#noteChange(before, next)
    return true
  }

  /**
   * The patches from what a client holds, as JSON. There has to be a state.
   * @param held a client may claim anything
   * @returns `undefined` for one that is to be sent the whole state
   */
  patchesFor(held: HeldTag): string | undefined {
    const { tag, text } = this.#state as Projection
    if (held === tag) return '[]'
    const patches = this.#changesSince(held)
    return patches && patches.length < text.length ? patches : undefined
  }

  /**
   * The frame for a client that holds a state. There has to be a state.
   * @param patches see {@link patchesFor}
   * @param isAnswer does it answer a connection or a question?
   */
  frameFor(held: HeldTag, patches: string | undefined, isAnswer: boolean): FullFrame | SameFrame | DeltaFrame {
    const { name: n } = this
    const { tag: t } = this.#state as Projection
    if (held === t) return { t, n }
    if (patches === undefined) return { t, s: this.state, n }
    const p: MirrorPatch[] = JSON.parse(patches)
    return isAnswer ? { t, f: held as Tag, p, n } : { t, f: held as Tag, p }
  }

  #noteChange(before: Projection, next: Projection): void {
    const patches = JSON.stringify(stateDelta(JSON.parse(before.text), JSON.parse(next.text)))
    // Nobody is sent more patches than the state is long.
    const isShort = patches.length < next.text.length
    if (isShort) this.#changes.push({ from: before.tag, to: next.tag, patches })
    else this.#changes = []
    this.#changesLength = isShort ? this.#changesLength + patches.length : 0
    // The last one may be longer: it is on its way to the clients.
    while (this.#changesLength > MOST_CHANGES && this.#changes.length > 1) {
      this.#changesLength -= (this.#changes.shift() as Change).patches.length
    }
  }

  /** The patches from a state to the one of now, as JSON. Each change follows on the one before. */
  #changesSince(held: HeldTag): string | undefined {
    const first = this.#changes.findLastIndex(({ from }) => from === held)
    if (first < 0) return undefined
    const changes = this.#changes.slice(first)
    return changes.length === 1 ? changes[0]?.patches : `[${changes.map(({ patches }) => patches.slice(1, -1)).join(',')}]`
  }
}

/** Names a session to its own tabs. */
function sessionName(sid: string): SessionName {
  return sha256(`sharedsession mirror\0${sid}`).slice(0, 12)
}

/** The most that is kept of sessions whose sockets have gone. */
const MOST_SESSIONS = 10_000
const MOST_KEPT = 4 * 1024 * 1024

/** The states of sessions without sockets, the last ones: a client that comes back soon gets what it has missed. */
export class LeftStates {
  readonly #states = new Map<string, PublishedState>()
  #length = 0

  add(sid: string, state: PublishedState): void {
    this.take(sid)
    this.#states.set(sid, state)
    this.#length += state.length
    for (;;) {
      const evicted = evictOldest(this.#states, this.#length > MOST_KEPT ? this.#states.size - 1 : MOST_SESSIONS)
      if (!evicted) break
      this.#length -= evicted[1].length
    }
  }

  take(sid: string): PublishedState | undefined {
    const state = this.#states.get(sid)
    if (state) this.#length -= state.length
    this.#states.delete(sid)
    return state
  }

  clear(): void {
    this.#states.clear()
    this.#length = 0
  }
}
