import { EventEmitter } from 'node:events'
import type { SimulatedNode } from './node.js'
import type { SimulatedConnection, SimulatedSocket } from './socket.js'
import type { World } from './world.js'

/** A packet of Socket.IO's: 0 connects, 1 disconnects, 2 is an event, 3 an ack, 4 a refusal. */
interface Packet {
  type: number
  data?: unknown
  id?: number
}

/** What a page's socket needs of the rest. */
export interface PageHost {
  readonly world: World
  /** ms that a packet takes. */
  latency(): number
  /** A node that answers; `undefined`: the network finds none. */
  pickNode(): SimulatedNode | undefined
  /** Sends the handshake. Resolves when the socket has connected, or with `undefined` if it does not. */
  handshake(node: SimulatedNode, page: PageSocket, auth: object): void
}

/**
 * The socket of a page, as socket.io-client has it: packets of one connection come in order, what is on its way when the connection breaks is lost,
 * and then it connects again.
 */
export class PageSocket extends EventEmitter {
  connected = false
  /** It connects again by itself. */
  active = true
  /** Its page is closed. */
  closed = false
  node: SimulatedNode | undefined
  /** The other end. */
  peer: SimulatedSocket | undefined
  conn: SimulatedConnection | undefined
  readonly io: { reconnectionDelay(ms?: number): number; once(event: string, listener: () => void): void }
  readonly #host: PageHost
  readonly #manager = new EventEmitter()
  #delay = 1000
  #isWaiting = false
  /** Counts connections: what belongs to an earlier one is lost. */
  #connection = 0
  #up: (() => void)[] = []
  #down: Packet[] = []

  constructor(host: PageHost) {
    super()
    this.#host = host
    this.io = {
      reconnectionDelay: (ms) => {
        if (ms !== undefined) this.#delay = ms
        return this.#delay
      },
      once: (event, listener) => void this.#manager.once(event, listener),
    }
  }

  connect(): this {
    if (this.conn || this.#isWaiting) return this
    this.active = true
    this.node = this.#host.pickNode()
    if (this.node) {
      this.#connection++
      this.packet({ type: 0, data: {} })
    } else this.#later()
    return this
  }

  disconnect(): this {
    this.active = false
    const { conn, node } = this
    this.lost('io client disconnect')
    if (conn && node && !node.dead) this.#host.world.as(node, () => conn.close())
    return this
  }

  /** Mirrors replace it. */
  packet(packet: Packet): void {
    const { node } = this
    if (!node) return
    // In the order in which they were sent.
    const connection = this.#connection
    if (packet.type === 0) {
      this.#host.world.after(this.#host.latency(), node, 'page connects', () => {
        if (!node.dead && connection === this.#connection) this.#host.handshake(node, this, packet.data as object)
      })
      return
    }
    this.#up.push(() => {
      if (connection === this.#connection && this.peer?.connected) this.peer.onevent({ data: packet.data as unknown[] })
    })
    this.#host.world.after(this.#host.latency(), node, 'packet of a page', () => this.#up.shift()?.())
  }

  /** The server has written packets to the connection. */
  receive(conn: SimulatedConnection, text: string): void {
    if (conn !== this.conn) return
    const connection = this.#connection
    this.#down.push(JSON.parse(text))
    this.#host.world.after(this.#host.latency(), undefined, 'packet for a page', () => {
      if (connection !== this.#connection) return
      const packet = this.#down.shift()
      if (packet) this.#on(packet)
    })
  }

  #on({ type, data }: Packet): void {
    if (type === 0) {
      this.connected = true
      this.emit('connect')
    } else if (type === 2) {
      const [event, ...args] = data as [string, ...unknown[]]
      this.emit(event, ...args)
    } else if (type === 1) {
      // Its user comes back.
      this.active = false
      this.lost('io server disconnect')
      this.#later()
    } else if (type === 4) {
      this.refused(Object.assign(new Error('refused'), { data }))
    }
  }

  refused(error: Error): void {
    this.active = false
    this.lost('refused')
    this.emit('connect_error', error)
    // The page tries it again.
    if (!this.#isWaiting) this.#later()
  }

  /** The connection is lost. */
  lost(reason: string): void {
    const { connected } = this
    if (!this.conn && !this.node) return
    this.#connection++
    this.#up = []
    this.#down = []
    this.conn = this.peer = this.node = undefined
    this.connected = false
    if (connected) this.emit('disconnect', reason)
    if (this.active) this.#later()
  }

  #later(): void {
    if (this.#isWaiting || this.#host.world.isOver) return
    this.#isWaiting = true
    this.#host.world.after(this.#delay, undefined, 'page comes back', () => {
      this.#isWaiting = false
      if (this.closed) return
      this.#manager.emit('reconnect_attempt')
      this.connect()
    })
  }
}
