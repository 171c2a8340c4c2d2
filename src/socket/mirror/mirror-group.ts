import type { Namespace, Socket } from 'socket.io'
import type { MirrorFrame } from '../../client/protocol.js'
import type { JsonObject } from '../../document/json.js'
import type { SharedSessionError } from '../../errors.js'
import type { SessionReplica } from '../../session/replica.js'
import type { StoredObserver } from '../../session/replica-context.js'
import type { Snapshot } from '../../store/snapshot.js'
import { getOrInsert } from '../../util/maps.js'
import { type EncodedFrame, encodeFrame } from './mirror-packet.js'
import type { MirrorReader, MirrorSource } from './mirror-reader.js'
import type { Projection } from './projection.js'
import type { PublishedState } from './published-state.js'

/** What a group uses of its instance. */
export interface MirrorGroupHost {
  /** See the option `publishInterval`. */
  readonly interval: number
  /** @throws `PUBLISH_FAILED`, `TOO_LARGE_TO_PUBLISH` */
  project(session: JsonObject): Projection
  failed(readers: Iterable<MirrorReader>, error: SharedSessionError): void
  /** No reader is left. */
  emptied(): void
}

/** The sockets that get the same published state of a session: its projection is made once for all of them, and each frame is encoded once. */
export class MirrorGroup implements MirrorSource, StoredObserver {
  readonly replica: SessionReplica
  readonly state: PublishedState
  readonly #host: MirrorGroupHost
  readonly #readers = new Set<MirrorReader>()
  readonly #stopObserving: () => void
  /** What the store holds, if that is not published yet. */
  #stored: (() => JsonObject) | undefined
  /** The frames of the state, where several sockets may need them. */
  #encoded: WeakMap<Namespace, Map<string, EncodedFrame>> | undefined
  /** When a change was last sent, by `performance.now()`. */
  #sentAt = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  constructor(host: MirrorGroupHost, replica: SessionReplica, state: PublishedState) {
    this.#host = host
    this.replica = replica
    this.state = state
    this.#stored = () => replica.storedData
    this.#stopObserving = replica.observe(this)
  }

  join(reader: MirrorReader): void {
    this.#readers.add(reader)
    // It is answered with what the store holds now, whatever the others wait for.
    this.#refresh()
  }

  leave(reader: MirrorReader): void {
    if (this.#readers.delete(reader) && this.#readers.size === 0) this.#host.emptied()
  }

  stored(snapshot: Snapshot): void {
    this.#stored = () => snapshot.copy().data
    if (this.#timer) return
    const wait = this.#sentAt + this.#host.interval - performance.now()
    if (wait > 0) this.#timer = setTimeout(() => this.#send(), wait).unref()
    else if (this.#refresh()) this.#send()
  }

  encode(socket: Socket, key: string, frame: () => MirrorFrame): EncodedFrame {
    // A text that only one socket needs is not kept.
    if (this.#readers.size < 2) return encodeFrame(socket, frame())
    this.#encoded ??= new WeakMap()
    const ofNamespace = getOrInsert(this.#encoded, socket.nsp as Namespace, () => new Map())
    return getOrInsert(ofNamespace, key, () => encodeFrame(socket, frame()))
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#stopObserving()
  }

  #send(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#refresh()
    this.#sentAt = performance.now()
    for (const reader of this.#readers) reader.send()
  }

  /** Publishes what the store holds. @returns whether anything is new for the readers */
  #refresh(): boolean {
    const { state } = this
    const stored = this.#stored
    if (!stored) return false
    this.#stored = undefined
    const before = state.error
    let isNews: boolean
    try {
      isNews = state.set(this.#host.project(stored()))
    } catch (cause) {
      const error = cause as SharedSessionError
      state.error = error.code as PublishedState['error']
      isNews = state.error !== before
      // One that is too large stays so for many commits.
      if (isNews || error.code === 'PUBLISH_FAILED') this.#host.failed(this.#readers, error)
    }
    if (isNews) this.#encoded = undefined
    return isNews
  }
}
