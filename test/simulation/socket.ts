import { EventEmitter } from 'node:events'
import type { Socket } from 'socket.io'

/** What a client sends: the name of an event, its arguments, and the id of the ack that it wants. */
export interface ClientPacket {
  id?: number
  data: unknown[]
}

type Ack = (...args: unknown[]) => void

/** Engine.IO's side of a connection. */
export class SimulatedConnection extends EventEmitter {
  readyState: 'open' | 'closed' = 'open'
  readonly request: object
  readonly server = { opts: {} }
  /** What the transport has not taken yet. */
  readonly writeBuffer: { options: object; data: string }[] = []
  /** Takes what leaves for the client. Absent: nobody looks. */
  transmit: ((text: string) => void) | undefined
  isSlow = (): boolean => false
  later = (run: () => void): void => run()
  #isBusy = false

  constructor(cookie: string | undefined, upgrade?: 'websocket') {
    super()
    const headers = { host: 'localhost', ...(cookie !== undefined && { cookie }), ...(upgrade && { upgrade }) }
    this.request = { method: 'GET', url: '/socket.io/', originalUrl: '/socket.io/', headers, socket: {}, connection: {} }
  }

  /** As Engine.IO does: at once, unless the transport takes no more. */
  send(data: string, options: object): void {
    if (!this.transmit || this.readyState === 'closed') return
    this.writeBuffer.push({ options, data })
    this.#flush()
  }

  #flush(): void {
    if (this.#isBusy || this.readyState === 'closed') return
    for (const packet of this.writeBuffer.splice(0)) this.transmit?.(packet.data)
    if (!this.isSlow()) return
    this.#isBusy = true
    this.later(() => {
      this.#isBusy = false
      this.#flush()
    })
  }

  close(): void {
    if (this.readyState === 'closed') return
    this.readyState = 'closed'
    this.emit('close')
  }
}

/** As much of a Socket.IO socket as this package uses, and as it is on a server. */
export class SimulatedSocket extends EventEmitter {
  readonly id: string
  readonly conn: SimulatedConnection
  readonly client: {
    conn: SimulatedConnection
    encoder: { encode(packet: object): string[] }
    _packet(encoded: string[], options: object): void
  }
  readonly handshake: { headers: object; [name: string]: unknown }
  readonly recovered: boolean = false
  readonly nsp: object
  connected = false
  readonly #rooms = new Set<string>()
  /** Is called with each ack that leaves for the client. */
  onAckSent: (id: number, args: unknown[]) => void = () => undefined

  constructor(id: string, conn: SimulatedConnection, nsp: object) {
    super()
    this.id = id
    this.conn = conn
    const encoder = { encode: (packet: object) => [JSON.stringify(packet)] }
    this.client = { conn, encoder, _packet: ([text], options) => conn.send(text as string, options) }
    this.handshake = { headers: (conn.request as { headers: object }).headers }
    this.nsp = nsp
    this.#rooms.add(id)
    conn.once('close', () => this.#gone('transport close'))
  }

  get rooms(): Set<string> {
    return this.#rooms
  }

  /** What the package sees of it. */
  get asSocket(): Socket {
    return this as unknown as Socket
  }

  join(room: string): void {
    this.#rooms.add(room)
  }

  leave(room: string): void {
    this.#rooms.delete(room)
  }

  leaveAll(): void {
    this.#rooms.clear()
  }

  use(): this {
    return this
  }

  disconnect(): this {
    if (this.connected) this.conn.send('{"type":1}', {})
    this.#gone('server namespace disconnect')
    return this
  }

  onevent({ id, data }: ClientPacket): void {
    const args = [...data]
    if (id !== undefined) args.push(this.ack(id))
    process.nextTick(() => super.emit(args[0] as string, ...args.slice(1)))
  }

  ack(id: number): Ack {
    let isSent = false
    return (...args) => {
      if (isSent) return
      isSent = true
      if (!this.connected) return
      this.onAckSent(id, args)
      this.conn.send(JSON.stringify({ type: 3, id }), {})
    }
  }

  onack(): void {}

  _onconnect(): void {
    this.connected = true
    this.conn.send('{"type":0}', {})
  }

  /** It still has its rooms. */
  protected beforeCleanUp(_reason: string): void {}

  #gone(reason: string): void {
    if (!this.connected) {
      this.#rooms.clear()
      return
    }
    this.emit('disconnecting', reason)
    this.beforeCleanUp(reason)
    this.#rooms.clear()
    this.connected = false
    this.emit('disconnect', reason)
  }
}

/** The namespace and the server that all sockets of a node are on. */
export function namespaceOf(): object {
  const server = { path: () => '/socket.io', engine: { opts: {} } }
  return Object.assign(new EventEmitter(), { name: '/', server, adapter: new EventEmitter() })
}
