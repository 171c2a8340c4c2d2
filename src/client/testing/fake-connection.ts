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

interface Packet {
  type: number
  data: unknown
  /** Of the ack that it waits for. */
  id?: number
}

interface Ack {
  /** It takes an error first. */
  takesError: boolean
  call: Listener
}

/** A socket as `socket.io-client` has it, without a connection: a test says what its server does. */
export class FakeSocket extends Emitter {
  connected = false
  active = true
  /** As an application sets it: what the handshake carries. */
  auth: unknown
  /** What was emitted without a connection: the next one sends it. */
  sendBuffer: Packet[] = []
  readonly io = new FakeManager()
  readonly #server: FakeServerSide
  readonly #acks = new Map<number, Ack>()
  #ids = 0
  #wasConnected = false
  /** Of the next event. */
  #flags: { volatile?: boolean; timeout?: number } = {}

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

  /** The next event is dropped if the socket has not been connected yet. After a disconnect the real client mostly keeps it. */
  get volatile(): this {
    this.#flags.volatile = true
    return this
  }

  /** The ack of the next event gets an error first, after so many milliseconds or `null`. */
  timeout(ms: number): this {
    this.#flags.timeout = ms
    return this
  }

  emit(event: string, ...args: unknown[]): this {
    return this.#emit(event, args)
  }

  emitWithAck(event: string, ...args: unknown[]): Promise<any> {
    return new Promise((resolve, reject) => {
      this.#emit(event, [...args, (error: unknown, answer: unknown) => (error ? reject(error) : resolve(answer))], true)
    })
  }

  packet({ type, data, id }: Packet): void {
    if (type === 0) this.#server.handshake(data)
    else this.#server.event(data as [string, ...unknown[]], id === undefined ? undefined : (...args) => this.#answer(id, args))
  }

  /** The handshake was accepted. @returns sends what was kept */
  accept(): () => void {
    this.connected = this.#wasConnected = true
    const kept = this.sendBuffer.splice(0)
    return () => {
      for (const packet of kept) this.packet(packet)
    }
  }

  /** The connection is gone. */
  drop(reason: string): void {
    this.connected = false
    this.dispatch('disconnect', reason)
    for (const [id, { takesError, call }] of this.#acks) {
      if (this.sendBuffer.some((packet) => packet.id === id)) continue
      this.#acks.delete(id)
      if (takesError) call(new Error('socket has been disconnected'))
    }
  }

  #emit(event: string, args: unknown[], takesError = false): this {
    const { volatile, timeout } = this.#flags
    this.#flags = {}
    const packet: Packet = { type: 2, data: [event, ...args] }
    const ack = args.at(-1)
    if (typeof ack === 'function') {
      packet.data = [event, ...args.slice(0, -1)]
      packet.id = this.#ids++
      this.#await(packet.id, { takesError, call: ack as Listener }, timeout)
    }
    if (this.connected) this.packet(packet)
    else if (!volatile || this.#wasConnected) this.sendBuffer.push(packet)
    return this
  }

  #await(id: number, ack: Ack, timeout: number | undefined): void {
    this.#acks.set(id, ack)
    if (timeout === undefined) return
    const timer = setTimeout(() => {
      this.#acks.delete(id)
      this.sendBuffer = this.sendBuffer.filter((packet) => packet.id !== id)
      ack.call(new Error('operation has timed out'))
    }, timeout)
    const call: Listener = (...args) => {
      clearTimeout(timer)
      ack.call(...args)
    }
    this.#acks.set(id, { takesError: true, call })
  }

  #answer(id: number, args: unknown[]): void {
    const ack = this.#acks.get(id)
    this.#acks.delete(id)
    if (ack?.takesError) ack.call(null, ...args)
    else ack?.call(...args)
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
    const sendKept = socket.accept()
    socket.dispatch('connect')
    this.greet()
    sendKept()
  }

  /** What it sends to a socket that it has accepted, before it gets the first event. */
  protected greet(): void {}

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
    socket.drop(reason)
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

  event([name, ...args]: [string, ...unknown[]], ack?: Listener): void {
    if (name === MIRROR_EVENT) {
      const question = { held: args[0] as HeldTag }
      this.questions.push(question)
      this.onquestion(question)
    } else {
      if (ack) args.push(ack)
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
