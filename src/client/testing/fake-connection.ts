import { type HeldTag, MIRROR_EVENT } from '../protocol.js'

/** As Socket.IO's client takes them: each event has its own arguments. */
type Listener = (...args: any[]) => void

class Emitter {
  readonly #listeners = new Map<unknown, Listener[]>()

  on(event: unknown, listener: Listener): this {
    this.#listeners.set(event, [...this.listeners(event), listener])
    return this
  }

  once(event: unknown, listener: Listener): this {
    const once: Listener = (...args) => {
      this.off(event, once)
      listener(...args)
    }
    return this.on(event, once)
  }

  off(event: unknown, listener: Listener): this {
    this.#listeners.set(
      event,
      this.listeners(event).filter((each) => each !== listener),
    )
    return this
  }

  listeners(event: unknown): Listener[] {
    return this.#listeners.get(event) ?? []
  }

  dispatch(event: unknown, ...args: unknown[]): void {
    for (const listener of this.listeners(event)) listener(...args)
  }
}

/** What a client has asked: in a handshake, or by the event. */
export interface Question {
  held: HeldTag
  /** Only in a handshake. */
  canRenew?: 0 | 1
}

class FakeManager extends Emitter {
  #delay = 1000

  reconnectionDelay(): number
  reconnectionDelay(delay: number): this
  reconnectionDelay(delay?: number): number | this {
    if (delay === undefined) return this.#delay
    this.#delay = delay
    return this
  }
}

/** A socket as `socket.io-client` has it, without a connection: a test says what its server does. */
export class FakeSocket extends Emitter {
  connected = false
  active = true
  /** As an application sets it: what the handshake carries. */
  auth: unknown
  readonly io = new FakeManager()
  readonly #server: FakeServerSide

  constructor(server: FakeServerSide) {
    super()
    this.#server = server
  }

  connect(): this {
    this.active = true
    if (!this.connected) this.#server.onconnect()
    return this
  }

  disconnect(): this {
    this.#server.drop('io client disconnect', false)
    return this
  }

  emit(event: string, ...args: unknown[]): this {
    this.packet({ type: 2, data: [event, ...args] })
    return this
  }

  emitWithAck(event: string, ...args: unknown[]): Promise<any> {
    return new Promise((resolve) => this.emit(event, ...args, resolve))
  }

  packet({ type, data }: { type: number; data: unknown }): void {
    if (type === 0) this.#server.handshake(data)
    else this.#server.event(data as [string, ...unknown[]])
  }
}

/** What the server does to a fake socket, frame by frame. */
export class FakeServerSide {
  readonly socket = new FakeSocket(this)
  /** What the client has asked, in order. */
  readonly questions: Question[] = []
  /** What `auth` the last handshake had. */
  auth: Record<string, unknown> = {}
  /** The events that the client has sent, without its questions. */
  readonly received: [event: string, ...args: unknown[]][] = []
  readonly #handlers = new Emitter()
  /** What a call of `socket.connect()` does. */
  onconnect: () => void = () => this.accept()
  onquestion: (question: Question) => void = () => undefined

  /** Has the socket connect. */
  accept(): void {
    const { socket } = this
    socket.active = true
    const send = (data: unknown): void => socket.packet({ type: 0, data })
    if (typeof socket.auth === 'function') socket.auth(send)
    else send(socket.auth)
    socket.connected = true
    socket.dispatch('connect')
  }

  /** Refuses a handshake, as a middleware of Socket.IO does. */
  refuse(code: string, message = code): void {
    this.socket.active = false
    this.socket.dispatch('connect_error', Object.assign(new Error(message), { data: { code } }))
  }

  /** Takes the connection away. @param comesBack whether the socket tries to reconnect */
  drop(reason = 'transport close', comesBack = true): void {
    const { socket } = this
    socket.active = comesBack
    if (!socket.connected) return
    socket.connected = false
    socket.dispatch('disconnect', reason)
  }

  /** Sends an event to the client. */
  emit(event: string, ...args: unknown[]): void {
    this.socket.dispatch(event, ...args)
  }

  /** Sends a frame as it is. The client gets a copy, as over a network. */
  send(frame: unknown): void {
    this.emit(MIRROR_EVENT, frame === undefined ? frame : JSON.parse(JSON.stringify(frame)))
  }

  /** Listens to an event of the client. The last argument is its ack, if it has one. */
  on(event: string, handler: Listener): this {
    this.#handlers.on(event, handler)
    return this
  }

  handshake(data: unknown): void {
    this.auth = JSON.parse(JSON.stringify(data ?? {}))
    const question = this.auth[MIRROR_EVENT] as [HeldTag, 0 | 1] | undefined
    if (question) this.questions.push({ held: question[0], canRenew: question[1] })
  }

  event([name, ...args]: [string, ...unknown[]]): void {
    if (name === MIRROR_EVENT) {
      const question = { held: args[0] as HeldTag }
      this.questions.push(question)
      this.onquestion(question)
    } else {
      this.received.push([name, ...args])
      this.#handlers.dispatch(name, ...args)
    }
  }
}

/** JSON with the keys in order, as a client may build its objects in another one. `undefined` for what JSON leaves out. */
export const canonical = (value: unknown): string | undefined =>
  JSON.stringify(value, (_key, part: unknown) =>
    part && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )
