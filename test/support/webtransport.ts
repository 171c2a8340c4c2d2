import { createServer } from 'node:http'
import { Server } from 'socket.io'

/** socket.io has it since 4.7. */
export const hasWebTransport = 'onWebTransportSession' in new Server(createServer()).engine
/** One side of a WebTransport session, as much of it as Engine.IO uses. */
interface Side {
  closed: Promise<unknown>
  close(): void
}

/**
 * A `WebTransport` class whose sessions are met by `accept` in the same process: Node has no HTTP/3. What lies above the streams (Engine.IO's
 * framing, its transports on both sides) is real.
 */
export function webTransportTo(accept: (session: object) => unknown): new () => object {
  return class {
    readonly ready = Promise.resolve()
    readonly closed: Promise<unknown>
    readonly #open: (stream: object) => void
    readonly #end: () => void

    constructor() {
      let end!: () => void
      this.closed = new Promise<void>((resolve) => {
        end = resolve
      })
      this.#end = end
      const incoming = new TransformStream<object>()
      const writer = incoming.writable.getWriter()
      this.#open = (stream) => void writer.write(stream)
      const session: Side & { incomingBidirectionalStreams: ReadableStream } = {
        closed: this.closed,
        close: end,
        incomingBidirectionalStreams: incoming.readable,
      }
      accept(session)
    }

    async createBidirectionalStream(): Promise<object> {
      const up = new TransformStream<Uint8Array>()
      const down = new TransformStream<Uint8Array>()
      this.#open({ readable: up.readable, writable: down.writable })
      return { readable: down.readable, writable: up.writable }
    }

    close(): void {
      this.#end()
    }
  }
}
