import { setOwn } from '../document/document-state.js'
import { type Dict, isContainer, isList, isObject, type List } from '../document/json.js'
import { getOrInsert } from '../util/bounded-map.js'

/** Sends one ack. */
export type Ack = (...args: unknown[]) => void

/** What the acks of a socket need of it. */
export interface AckQueueHost {
  /** Is told what an ack threw that was held: the handler, which could have caught it, has returned. */
  onThrow(cause: unknown): void
}

/** The acks of one socket: each leaves when what it waits for is saved, and not before those that were called earlier. */
export class AckQueue {
  readonly #host: AckQueueHost
  #last: Promise<void> | undefined

  constructor(host: AckQueueHost) {
    this.#host = host
  }

  /** @param saved what the ack waits for, and is not sent without; `undefined` for nothing */
  enqueue(saved: Promise<void> | undefined, ack: Ack, args: unknown[]): void {
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
      this.#host.onThrow(cause)
    }
  }
}

/**
 * What a held ack was given, as it was when it was called: the handler goes on, and so does the session. Does not go down into it by
 * calls of its own: a client may have sent it, nested deeper than the stack is.
 */
export function copyOf(value: unknown): unknown {
  const copies = new Map<object, object>()
  const copied = (source: unknown): unknown => {
    if (!isObject(source)) return source
    if (!isContainer(source)) return jsonOf(source)
    return getOrInsert(copies, source, () => (isList(source) ? [] : {}))
  }
  const copy = copied(value)
  // A map that is walked shows what is put into it meanwhile.
  for (const [source, made] of copies) {
    for (const [key, inner] of Object.entries(source)) setOwn(made as Dict, key, copied(inner))
    if (isList(source)) (made as List).length = source.length
  }
  return copy
}

/** The session itself, a Date: socket.io sends their JSON. Binary data is sent as it is, and what has no JSON fails when it is sent. */
function jsonOf(value: object): unknown {
  const { toJSON } = value as { toJSON?: () => unknown }
  if (typeof toJSON !== 'function' || ArrayBuffer.isView(value)) return value
  try {
    return JSON.parse(JSON.stringify(value))
  } catch {
    return value
  }
}
