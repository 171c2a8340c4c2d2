import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server, type Socket } from 'socket.io'
import { io } from 'socket.io-client'
// @ts-expect-error: an alias of another version has no types of its own
import { io as io40 } from 'socket.io-client40'
import { mirror } from '../../src/client/index.js'
import type { MirrorFrame, MirrorQuestion, MirrorState } from '../../src/client/protocol.js'
import { fakeSocket } from '../../src/client/testing/index.js'

/** The oldest and the newest client of Socket.IO 4. */
export const CLIENTS = [
  ['socket.io-client 4.8', io],
  ['socket.io-client 4.0', io40 as typeof io],
] as const

export interface State {
  user?: { name: string }
  items: string[]
}

export const STATE: State = { user: { name: 'Ada' }, items: ['tea'] }

/** A mirror that is live. */
export function lively(state: State = STATE) {
  const { socket, server } = fakeSocket<State>()
  server.publish(state)
  const live = mirror<State>(socket)
  server.connect()
  return { socket, server, live }
}

interface Connection {
  socket: Socket
  question: MirrorQuestion | undefined
}

const stops: (() => unknown)[] = []

export async function stopServers(): Promise<void> {
  for (const stop of stops.splice(0).reverse()) await stop()
}

/** Closes a client when the test ends, before its server. */
export function untilTheEnd<T extends { disconnect(): unknown }>(client: T): T {
  stops.push(() => client.disconnect())
  return client
}

/** A Socket.IO server that sends its sockets frames as a test says: a stand-in that has no sessions. */
export class FrameServer {
  readonly connections: Connection[] = []
  /** What clients have asked by the event. */
  readonly questions: unknown[] = []
  /** The whole state that a connection gets, if it has not got it. */
  state: { t: string; s: MirrorState; n: string } | undefined
  /** Refuses a handshake with such a code. */
  refuses: (socket: Socket) => string | undefined = () => undefined
  #http!: HttpServer
  #io!: Server
  port = 0

  static async start(options: { namespaces?: string[] } = {}): Promise<FrameServer> {
    const server = new FrameServer()
    await server.listen(options.namespaces)
    stops.push(() => server.stop())
    return server
  }

  async listen(namespaces = ['/']): Promise<void> {
    this.#http = createServer()
    this.#io = new Server(this.#http)
    for (const namespace of namespaces)
      this.#io
        .of(namespace)
        .use((socket, next) => {
          const code = this.refuses(socket)
          if (code === 'RENEWAL_NEEDED') setImmediate(() => socket.conn.close())
          next(code ? Object.assign(new Error(code), { data: { code } }) : undefined)
        })
        .on('connection', (socket) => this.#greet(socket))
    await new Promise<void>((resolve) => this.#http.listen(this.port, resolve))
    this.port = (this.#http.address() as AddressInfo).port
  }

  get url(): string {
    return `http://localhost:${this.port}`
  }

  get socket(): Socket {
    return this.connections.at(-1)!.socket
  }

  #greet(socket: Socket): void {
    const question = socket.handshake.auth['session:mirror'] as MirrorQuestion | undefined
    this.connections.push({ socket, question })
    if (question) this.#answer(socket, question[0])
    socket.on('session:mirror', (held) => {
      this.questions.push(held)
      this.#answer(socket, held)
    })
  }

  #answer(socket: Socket, held: unknown): void {
    if (this.state) this.send(held === this.state.t ? { t: this.state.t, n: this.state.n } : this.state, socket)
  }

  send(frame: MirrorFrame, socket = this.socket): void {
    socket.emit('session:mirror', frame)
  }

  async stop(): Promise<void> {
    await this.#io.close()
  }
}
