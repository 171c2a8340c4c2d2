import { type Dict, isContainer, isList, isObject, type List, setOwn } from '../document/json.js'
import { getOrInsert } from '../util/maps.js'

/** Sends one ack. */
export type Ack = (...args: unknown[]) => void

/** The acks of one socket. Each is sent when the save that it waits for has succeeded, and after those that were called before it. */
export class AckQueue {
  readonly #onThrow: (cause: unknown) => void
  #last: Promise<void> | undefined

  /** @param onThrow gets what a held ack threw: the handler, which could have caught it, has returned */
  constructor(onThrow: (cause: unknown) => void) {
    this.#onThrow = onThrow
  }

  /** @param saved the save that the ack waits for: the ack is not sent if it rejects. `undefined`: there is nothing to wait for */
  enqueue(saved: Promise<void> | undefined, ack: Ack, args: unknown[]): void {
    if (!saved && !this.#last) {
      ack(...args)
      return
    }
    const copies = args.map(copyArgument)
    const release = (isSaved: boolean): void => {
      if (isSaved) this.#send(ack, copies)
      if (this.#last === released) this.#last = undefined
    }
    const released: Promise<void> = this.#afterLast(saved).then(
      () => release(true),
      () => release(false),
    )
    this.#last = released
  }

  /** Settles as `saved` does, after the acks that were called before. */
  #afterLast(saved: Promise<void> | undefined): Promise<void> {
    const last = this.#last
    if (!last) return saved ?? Promise.resolve()
    // A rejection is handled below; until then it must not count as an unhandled one.
    saved?.catch(() => undefined)
    return last.then(() => saved)
  }

  #send(ack: Ack, args: unknown[]): void {
    try {
      ack(...args)
    } catch (cause) {
      this.#onThrow(cause)
    }
  }
}

/**
 * A copy of an argument of a held ack: the handler may change it before the ack is sent, and so may the session. Not recursive, because
 * a client may have sent it, nested deeper than the stack.
 */
export function copyArgument(value: unknown): unknown {
  if (!isObject(value)) return value
  const copies = new Map<object, object>()
  const copyShallow = (source: unknown): unknown => {
    if (!isObject(source)) return source
    if (!isContainer(source)) return jsonOf(source)
    return getOrInsert(copies, source, () => (isList(source) ? [] : {}))
  }
  const result = copyShallow(value)
  // The iteration of a Map includes what is added meanwhile.
  for (const [source, copy] of copies) {
    for (const [key, inner] of Object.entries(source)) setOwn(copy as Dict, key, copyShallow(inner))
    if (isList(source)) (copy as List).length = source.length
  }
  return result
}

/** The JSON of the session itself or a Date, which is what socket.io sends. Binary data is returned unchanged, and so is what has no JSON. */
function jsonOf(value: object): unknown {
  const { toJSON } = value as { toJSON?: () => unknown }
  if (typeof toJSON !== 'function' || ArrayBuffer.isView(value)) return value
  try {
    return JSON.parse(JSON.stringify(value))
  } catch {
    return value
  }
}
