import type { Socket as Connection } from 'node:net'
import type { Socket } from 'socket.io'
import { frame } from './wire.js'

const READ = frame('421["read"]')

/**
 * Gives a socket events without a network, one at a time: what a client would send is emitted by its connection, and what the server
 * writes there ends here. All that runs in the server but the system's own calls is the same.
 */
export class Feed {
  readonly #connection: Connection
  #answered: () => void = () => undefined

  constructor(socket: Socket) {
    // `ws` has no other way to what it reads from and writes to.
    const { _socket } = (socket.conn.transport as unknown as { socket: { _socket: Connection } }).socket
    this.#connection = _socket
    const write = (_data: unknown, written?: unknown): boolean => {
      // The header of a frame is written without a callback, the rest with one.
      if (typeof written === 'function') process.nextTick(() => this.#wrote(written as () => void))
      return true
    }
    Object.assign(_socket, { write })
  }

  /** Resolves when so many events that read are acknowledged. */
  async read(events: number): Promise<void> {
    for (let event = 0; event < events; event++) {
      const answered = new Promise<void>((resolve) => {
        this.#answered = resolve
      })
      this.#connection.emit('data', READ)
      await answered
      // The next one comes in a turn of its own.
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  #wrote(written: () => void): void {
    written()
    this.#answered()
  }
}
