import type { Moment } from '../../store/session-clock.js'
import type { Attached } from '../../util/attached.js'

/** What is known of a connection and of its session cookie. */
export class ConnectionRecord {
  /** When its handshake came; absent where the store was not known yet. */
  readonly arrivedMoment: Moment | undefined
  /** The same by `performance.now()`. */
  readonly openedAt = performance.now()
  /** The session cookie's value with which the connection was made. */
  initial: string | undefined
  /** The value that was active last: the one that was sent, or the one that the client was given. */
  value: string | undefined
  /** The session that this value names, where it was verified. */
  sid: string | undefined
  /** Does the client send cookies with requests other than upgrades? A page of another host may send them with upgrades only. */
  sendsCookies: boolean
  /** The `Set-Cookie` lines that its next response is to carry. */
  setCookies: string[] | undefined
  /** Resolves when the session of its handshake was found or created, or that has failed. */
  preparing: Promise<unknown> | undefined
  isPrepared = false
  /** The response that could have set a cookie left before that. */
  isTooLate = false
  /** The client has to reconnect, because another tab of its browser was just given a cookie. */
  mustReconnect = false

  /** @param value of the session cookie that was sent */
  constructor(value: string | undefined, arrivedMoment: Moment | undefined) {
    this.arrivedMoment = arrivedMoment
    this.initial = value
    this.value = value
    this.sendsCookies = value !== undefined
  }
}

/** The connections of one instance, by their first requests. */
export type ConnectionRecords = Attached<ConnectionRecord>
