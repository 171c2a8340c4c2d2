import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** A connection that sends the same request again and again. As light as {@link Wire}, for the same reason. */
export class HttpWire {
  readonly #socket: Socket
  readonly #request: Buffer
  #received = ''
  #answered: () => void = () => undefined

  private constructor(socket: Socket, request: string) {
    this.#socket = socket
    this.#request = Buffer.from(request)
    socket.setNoDelay(true)
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => this.#read(chunk.toString('latin1')))
  }

  static async connect(port: number, path: string, cookie: string): Promise<HttpWire> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return new HttpWire(socket, `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nCookie: ${cookie}\r\n\r\n`)
  }

  /** @param answered is called when the whole response is there */
  send(answered: () => void): void {
    this.#answered = answered
    this.#socket.write(this.#request)
  }

  close(): void {
    this.#socket.destroy()
  }

  #read(text: string): void {
    this.#received += text
    const head = this.#received.indexOf('\r\n\r\n')
    if (head < 0) return
    const length = Number(/content-length: (\d+)/i.exec(this.#received)?.[1])
    if (this.#received.length < head + 4 + length) return
    if (!this.#received.startsWith('HTTP/1.1 200')) throw new Error(this.#received)
    this.#received = ''
    this.#answered()
  }
}
