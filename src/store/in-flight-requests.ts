import type { EventEmitter } from 'node:events'

/** A request as the session middleware hands it to a store. */
export interface StoreRequest {
  sessionID?: string
  res?: Response
  socket?: { _httpMessage?: Response | null } | null
}

/** What of a response says when it is over. */
export type Response = EventEmitter & { writableFinished?: boolean; destroyed?: boolean; getHeader?(name: string): unknown }

/**
 * The response to a request. Only Express links the two; on a plain server Node's own socket knows which response it is sending.
 */
export function responseTo(request: StoreRequest): Response | undefined {
  const response = request.res ?? request.socket?._httpMessage
  // A made-up request may have a made-up response.
  return typeof response?.once === 'function' ? response : undefined
}

/** Has the response left, or its connection? */
export function isOver(response: Response): boolean {
  return response.writableFinished === true || response.destroyed === true
}

/** Resolves when a response has left, or its connection has. */
export function responseFinished(response: Response): Promise<void> {
  return new Promise((resolve) => {
    if (isOver(response)) return resolve()
    response.once('finish', resolve)
    response.once('close', resolve)
  })
}

/** Does it bring its client a cookie? Only to be asked when it has left. */
export function hasSetCookie(response: Response): boolean {
  return response.getHeader?.('set-cookie') !== undefined
}

/** Counts requests that are under way. */
export class InFlightRequests {
  readonly #responses = new Set<Response>()
  readonly #none: () => void

  /** @param none is called whenever the last one has ended */
  constructor(none: () => void) {
    this.#none = none
  }

  get size(): number {
    return this.#responses.size
  }

  track(request: StoreRequest): void {
    const response = responseTo(request)
    if (!response || isOver(response) || this.#responses.has(response)) return
    this.#responses.add(response)
    // Not at 'finish': the end of a response may wait for a save that is still to be protected.
    response.once('close', () => {
      this.#responses.delete(response)
      if (this.#responses.size === 0) this.#none()
    })
  }
}
