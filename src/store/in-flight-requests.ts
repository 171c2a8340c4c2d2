import type { EventEmitter } from 'node:events'
import { Attached } from '../util/attached.js'

/** A request as the session middleware hands it to a store. */
export interface StoreRequest {
  sessionID?: string
  res?: Response
  socket?: { _httpMessage?: Response | null } | null
}

/** The part of a response that says how far it is. */
export type Response = EventEmitter & {
  headersSent?: boolean
  writableFinished?: boolean
  destroyed?: boolean
  req?: unknown
  getHeader?(name: string): unknown
}

/**
 * The response to a request. Only Express links the two; on a plain server Node's own socket knows which response it is sending.
 */
export function responseTo(request: StoreRequest): Response | undefined {
  const response = request.res ?? request.socket?._httpMessage
  // A made-up request may have a made-up response.
  return typeof response?.once === 'function' ? response : undefined
}

/** Has the response been sent, or its connection closed? */
export function isFinished(response: Response): boolean {
  return response.writableFinished === true || response.destroyed === true
}

/** Resolves when a response has been sent, or its connection closed. */
export function responseFinished(response: Response): Promise<void> {
  return new Promise((resolve) => {
    if (isFinished(response)) return resolve()
    response.once('finish', resolve)
    response.once('close', resolve)
  })
}

/** Does it set the cookie of that session, whatever its name is? To be called when it has been sent. */
export function setsCookieOf(sid: string | undefined, response: Response): boolean {
  if (sid === undefined) return false
  const lines = [response.getHeader?.('set-cookie') ?? []].flat().map(String)
  return lines.some((line) => line.includes(`=${encodeURIComponent(`s:${sid}`)}.`))
}

/** Counts requests until their responses have finished, and other calls until they have ended. */
export class InFlightRequests {
  // No Set of them: V8 keeps what was in the tables that a small Set leaves behind, which is all that the requests refer to.
  readonly #tracked = new Attached<true>()
  readonly #onIdle: () => void
  size = 0
  /** Ends what {@link begin} has counted. */
  readonly end = (): void => {
    this.size--
    if (this.size === 0) this.#onIdle()
  }

  /** @param onIdle is called whenever the last one has finished */
  constructor(onIdle: () => void) {
    this.#onIdle = onIdle
  }

  begin(): void {
    this.size++
  }

  track(request: StoreRequest): void {
    const response = responseTo(request)
    if (!response || this.#tracked.get(response) || isFinished(response)) return
    this.#tracked.set(response, true)
    this.size++
    // Not at 'finish': the end of a response may wait for a save that is still to be protected.
    response.once('close', this.end)
  }
}
