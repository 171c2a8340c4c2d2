/** Sends one ack. */
export type Ack = (...args: unknown[]) => void

/** The acks of one socket: each leaves when what it waits for is saved, and not before those that were called earlier. */
export class Acks {
  readonly #threw: (cause: unknown) => void
  #last: Promise<void> | undefined

  /** @param threw is told what an ack threw that was held: the handler, which could have caught it, has returned */
  constructor(threw: (cause: unknown) => void) {
    this.#threw = threw
  }

  /**
   * @param saved what the ack waits for; `undefined` for nothing
   * @param unsaved says whether to send it although what it waited for was not saved
   */
  push(saved: Promise<void> | undefined, unsaved: () => boolean, ack: Ack, args: unknown[]): void {
    if (!saved && !this.#last) {
      ack(...args)
      return
    }
    // Looked at only when those before have left.
    saved?.catch(() => undefined)
    const given = args.map(copyOf)
    const before = this.#last ?? Promise.resolve()
    const mine: Promise<void> = before
      .then(() => saved)
      .then(() => true, unsaved)
      .then((due) => {
        if (due) this.#send(ack, given)
        if (this.#last === mine) this.#last = undefined
      })
    this.#last = mine
  }

  #send(ack: Ack, args: unknown[]): void {
    try {
      ack(...args)
    } catch (cause) {
      this.#threw(cause)
    }
  }
}

/** What a held ack was given, as it was when it was called: the handler goes on, and so does the session. */
export function copyOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(copyOf)
  const prototype = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, copyOf(inner)]))
  }
  // The session itself, a Date: socket.io sends their JSON. Binary data is sent as it is.
  const { toJSON } = value as { toJSON?: () => unknown }
  return typeof toJSON === 'function' && !ArrayBuffer.isView(value) ? JSON.parse(JSON.stringify(value)) : value
}
