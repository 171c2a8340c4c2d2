/** Sends one ack. */
export type Ack = (...args: unknown[]) => void

/** What the acks of a socket need of it. */
export interface AcksHost {
  /** Is told what an ack threw that was held: the handler, which could have caught it, has returned. */
  threw(cause: unknown): void
}

/** The acks of one socket: each leaves when what it waits for is saved, and not before those that were called earlier. */
export class Acks {
  readonly #host: AcksHost
  #last: Promise<void> | undefined

  constructor(host: AcksHost) {
    this.#host = host
  }

  /** @param saved what the ack waits for, and is not sent without; `undefined` for nothing */
  push(saved: Promise<void> | undefined, ack: Ack, args: unknown[]): void {
    if (!saved && !this.#last) {
      ack(...args)
      return
    }
    const given = args.map(copyOf)
    const leave = (due: boolean): void => {
      if (due) this.#send(ack, given)
      if (this.#last === mine) this.#last = undefined
    }
    const mine: Promise<void> = this.#after(saved).then(
      () => leave(true),
      () => leave(false),
    )
    this.#last = mine
  }

  /** Settles as `saved` does, when those before have left. */
  #after(saved: Promise<void> | undefined): Promise<void> {
    const last = this.#last
    if (!last) return saved ?? Promise.resolve()
    // Looked at only then.
    saved?.catch(() => undefined)
    return last.then(() => saved)
  }

  #send(ack: Ack, args: unknown[]): void {
    try {
      ack(...args)
    } catch (cause) {
      this.#host.threw(cause)
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
