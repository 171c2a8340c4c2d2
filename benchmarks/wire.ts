import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

const PONG = frame('3')

/** A text frame as a client sends it. Its mask is of zeros, so that the payload stays as it is. */
export function frame(text: string): Buffer {
  const payload = Buffer.from(text)
  if (payload.length > 125) throw new Error('longer than any event of a benchmark')
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload])
}

/**
 * A Socket.IO client that only does what a load needs: it connects by WebSocket, sends frames made beforehand, and counts acks. A full
 * client takes as much of a processor as the server, and what would be measured is the client.
 */
export class Wire {
  /** Called with how many acks have just come in. */
  acked: (count: number) => void = () => undefined
  readonly #socket: Socket
  readonly #connect: Buffer
  #rest: Buffer = Buffer.alloc(0)
  #upgraded = false
  #admitted: ((error?: Error) => void) | undefined

  private constructor(socket: Socket, auth: string) {
    this.#socket = socket
    this.#connect = frame(`40${auth}`)
    socket.setNoDelay(true)
    socket.on('data', (chunk) => this.#read(chunk))
    socket.on('error', () => undefined)
    socket.on('close', () => this.#admitted?.(new Error('closed while connecting')))
  }

  /** Resolves when the namespace has let it in. @param auth as JSON */
  static async connect(port: number, cookie: string, auth = ''): Promise<Wire> {
    const socket = connect(port, '127.0.0.1')
    const wire = new Wire(socket, auth)
    const admitted = new Promise<void>((resolve, reject) => {
      wire.#admitted = (error) => {
        wire.#admitted = undefined
        if (error) reject(error)
        else resolve()
      }
    })
    admitted.catch(() => undefined)
    await once(socket, 'connect')
    // A browser sends an Origin.
    socket.write(
      `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nOrigin: http://127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nCookie: ${cookie}\r\n\r\n`,
    )
    await admitted
    return wire
  }

  send(frames: Buffer): void {
    this.#socket.write(frames)
  }

  close(): void {
    this.#socket.destroy()
  }

  #read(chunk: Buffer): void {
    let data = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk
    if (!this.#upgraded) {
      const end = data.indexOf('\r\n\r\n')
      if (end < 0) {
        this.#rest = data
        return
      }
      if (!data.toString('latin1', 0, 12).endsWith('101')) {
        this.#admitted?.(new Error(data.toString('latin1', 0, end)))
        return
      }
      this.#upgraded = true
      data = data.subarray(end + 4)
    }
    let at = 0
    let acks = 0
    while (data.length - at >= 2) {
      const short = data[at + 1]!
      const head = short === 126 ? 4 : short === 127 ? 10 : 2
      if (data.length - at < head) break
      const length = short === 126 ? data.readUInt16BE(at + 2) : short === 127 ? Number(data.readBigUInt64BE(at + 2)) : short
      if (data.length - at < head + length) break
      const type = data[at + head]
      const kind = data[at + head + 1]
      at += head + length
      // Engine.IO: 0 open, 2 ping, 4 message; of Socket.IO: 0 connected, 3 ack, 4 refused.
      if (type === 0x30) this.#socket.write(this.#connect)
      else if (type === 0x32) this.#socket.write(PONG)
      else if (kind === 0x33) acks++
      else if (kind === 0x30) this.#admitted?.()
      else if (kind === 0x34) this.#admitted?.(new Error(data.toString('utf8', at - length, at)))
    }
    this.#rest = at < data.length ? Buffer.from(data.subarray(at)) : Buffer.alloc(0)
    if (acks > 0) this.acked(acks)
  }
}
