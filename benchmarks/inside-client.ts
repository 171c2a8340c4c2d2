import { IncomingMessage, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { cookieOf } from './session.js'
import { frame } from './wire.js'

const CONNECT = frame('40')
const WRITE = frame('421["write","k0",1]')

/**
 * A client that connects by WebSocket, without a network: its server is given the request of an upgrade as Node's parser makes it, and what the server
 * writes ends here. All that runs in the server but the parser and the system's own calls is the same.
 */
export class InsideClient extends Duplex {
  readonly remoteAddress = '127.0.0.1'
  readonly #server: Server
  readonly #request: IncomingMessage
  readonly #writes: boolean
  #connected: (error?: Error) => void = () => undefined

  /** @param writes it changes one key as soon as it is let in, and is connected when that is acknowledged */
  constructor(server: Server, sid: string, writes: boolean) {
    super()
    this.#server = server
    this.#writes = writes
    this.#request = new IncomingMessage(this as unknown as Socket)
    this.#request.method = 'GET'
    this.#request.httpVersion = '1.1'
    this.#request.url = '/socket.io/?EIO=4&transport=websocket'
    this.#request.headers = {
      host: '127.0.0.1:80',
      origin: 'http://127.0.0.1:80',
      upgrade: 'websocket',
      connection: 'Upgrade',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
      cookie: cookieOf(sid),
    }
    this.on('error', () => undefined)
  }

  /** Resolves when the namespace has let it in. */
  connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#connected = (error) => (error ? reject(error) : resolve())
      this.#server.emit('upgrade', this.#request, this, Buffer.alloc(0))
    })
  }

  setTimeout(): this {
    return this
  }

  setNoDelay(): this {
    return this
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, written: (error?: Error) => void): void {
    // The header of a frame may come by itself.
    const at = chunk[0]! >= 0x80 ? 2 : 0
    const [type, kind] = [chunk[at], chunk[at + 1]]
    if (type === 0x30) this.#send(CONNECT)
    else if (type === 0x34 && kind === 0x30) {
      if (this.#writes) this.#send(WRITE)
      else this.#connected()
    } else if (type === 0x34 && kind === 0x33) this.#connected()
    else if (type === 0x34 && kind === 0x34) this.#connected(new Error(chunk.toString()))
    written()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#connected(new Error('closed while connecting'))
    done(error)
  }

  /** Arrives in a turn of its own, as by a network. */
  #send(data: Buffer): void {
    setImmediate(() => this.push(Buffer.from(data)))
  }
}
