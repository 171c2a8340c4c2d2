import type { Socket } from 'socket.io'
import type { EndFrame, HeldTag, MirrorFrame } from '../../client/protocol.js'
import type { Member } from '../../session/member.js'
import type { SessionReplica } from '../../session/replica.js'
import type { SessionManager } from '../../session/session-manager.js'
import { type EncodedFrame, encodeFrame, writeFrame } from './mirror-packet.js'
import type { PublishedState } from './published-state.js'

/** A socket whose client may ask for what its session publishes. */
export interface MirrorMember extends Member {
  readonly socket: Socket
  readonly replica: SessionReplica
  readonly manager: SessionManager
  /** Since the client has asked. */
  mirror: MirrorReader | undefined
}

/** What readers of one published state share. */
export interface MirrorSource {
  readonly state: PublishedState
  /** @param key names the frame among those of the state */
  encode(socket: Socket, key: string, frame: () => MirrorFrame): EncodedFrame
  leave(reader: MirrorReader): void
}

/** Names the frame with the whole state. */
const WHOLE = ''

/** What the client of one socket holds of the published state, and what it is sent. */
export class MirrorReader {
  readonly member: MirrorMember
  readonly #source: MirrorSource
  /** The tag of what the client holds when it has read everything. */
  #held: HeldTag = 0
  /** It waits for an answer. */
  #asks = false
  /** The error that it was sent, if no state has followed. */
  #error: PublishedState['error']
  /** A packet is in the connection's buffer, and its frame is not made yet. */
  #waits = false
  #end: EndFrame['end'] | undefined

  /** @param end of the session, if it has ended */
  constructor(member: MirrorMember, source: MirrorSource, end?: EndFrame['end']) {
    this.member = member
    this.#source = source
    this.#end = end
  }

  /** The client has connected, or asks again. Answers that have to wait are sent as one. */
  ask(held: HeldTag): void {
    this.#held = held
    this.#asks = true
    this.send()
  }

  /** Sends what has changed for the client, if anything has. */
  send(): void {
    if (this.#waits) return
    const [held, asks, error] = [this.#held, this.#asks, this.#error]
    const frame = this.#takeFrame(false)
    if (!frame) return
    this.#waits = writeFrame(this.member.socket, frame, () => {
      this.#waits = false
      return this.#takeFrame(true) as EncodedFrame
    })
    if (!this.#waits) return
    this.#held = held
    this.#asks = asks
    this.#error = error
  }

  /** The session has ended: this is the last frame. */
  end(reason: EndFrame['end']): void {
    this.#end = reason
    this.send()
    this.leave()
  }

  /** The socket is gone. */
  leave(): void {
    this.#source.leave(this)
  }

  /**
   * The next frame, which counts as read from now on.
   * @param isOwed the client gets a frame also if it holds the state already
   */
  #takeFrame(isOwed: boolean): EncodedFrame | undefined {
    const { state } = this.#source
    const { socket } = this.member
    const { error } = state
    const end = this.#end
    if (end) return encodeFrame(socket, { end })
    const isNews = error ? error !== this.#error : state.tag !== this.#held || this.#error !== undefined
    if (!isNews && !this.#asks && !isOwed) return undefined
    const [held, isAnswer] = [this.#held, this.#asks || this.#error !== undefined]
    this.#asks = false
    this.#error = error
    if (error) return this.#source.encode(socket, error, () => ({ e: error }))
    this.#held = state.tag ?? 0
    const patches = state.patchesFor(held)
    // A client may claim to hold anything: all that get the whole state share a frame.
    const key = patches === undefined ? WHOLE : `${held} ${isAnswer}`
    return this.#source.encode(socket, key, () => state.frameFor(held, patches, isAnswer))
  }
}
