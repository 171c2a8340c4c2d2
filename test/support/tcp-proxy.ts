import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

type When = (request: Buffer) => boolean

interface Cut {
  /**
   * `request`: the server never gets it. `answer`: the server has done it, and the client does not learn how it ended. `delivery`: the server
   * gets it later.
   */
  before: 'request' | 'answer' | 'delivery'
  when: When
  done: (delivery: Delivery) => void
}

/** A request whose client is gone. */
type Delivery = () => Promise<unknown>

interface Pair {
  client: Socket
  server: Socket
  /** The next bytes from the server are the answer that is not to be passed on. */
  doomed?: Cut
  /** Who spoke last. */
  speaker: 'client' | 'server'
}

/** A TCP proxy in this process that loses connections at a chosen moment, stalls, and counts. */
export class TcpProxy {
  readonly port: number
  /** Times that a client spoke after the server had: commands sent together are one. */
  roundTrips = 0
  /** Is given what servers send, byte by byte as it is. */
  onAnswer?: (chunk: Buffer) => void
  readonly #server: Server
  readonly #pairs = new Set<Pair>()
  readonly #cuts: Cut[] = []
  #stalled = false
  #isDown = false

  private constructor(server: Server, upstream: number) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
    server.on('connection', (client) => this.#join(client, upstream))
  }

  /**
   * @param upstream port of 127.0.0.1
   * @param host the address at which it listens
   */
  static async start(upstream: number, host = '127.0.0.1'): Promise<TcpProxy> {
    const server = createServer().listen(0, host)
    await once(server, 'listening')
    return new TcpProxy(server, upstream)
  }

  get connections(): number {
    return this.#pairs.size
  }

  /**
   * Cuts the connection of the next request that fits, once.
   * @param before what does not arrive any more
   * @returns when it is cut
   */
  cut(before: 'request' | 'answer', when: When = () => true): Promise<void> {
    return new Promise((resolve) => this.#cuts.push({ before, when, done: () => resolve() }))
  }

  /**
   * Cuts the connection of the next request that fits, once, and keeps the request.
   * @returns `cut` resolves when it is cut. `deliver` sends the request to the server, and resolves when the server has answered
   */
  delay(when: When = () => true): { cut: Promise<unknown>; deliver(): Promise<unknown> } {
    const cut = new Promise<Delivery>((done) => this.#cuts.push({ before: 'delivery', when, done }))
    return { cut, deliver: async () => (await cut)() }
  }

  /** Nothing passes, in either direction, until `resume()`. */
  stall(): void {
    this.#stalled = true
    for (const { client, server } of this.#pairs) {
      client.pause()
      server.pause()
    }
  }

  resume(): void {
    this.#stalled = false
    for (const { client, server } of this.#pairs) {
      client.resume()
      server.resume()
    }
  }

  /** Cuts all connections, and each new one at once, until `up()`. */
  down(): void {
    this.#isDown = true
    this.cutAll()
  }

  up(): void {
    this.#isDown = false
  }

  /** Cuts all connections that are open now. */
  cutAll(): void {
    for (const pair of this.#pairs) this.#destroy(pair)
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.cutAll()
    await closed
  }

  #join(client: Socket, upstream: number): void {
    if (this.#isDown) {
      client.on('error', () => undefined)
      client.destroy()
      return
    }
    const pair: Pair = { client, server: connect(upstream, '127.0.0.1'), speaker: 'server' }
    this.#pairs.add(pair)
    client.setNoDelay()
    pair.server.setNoDelay()
    for (const socket of [client, pair.server]) {
      if (this.#stalled) socket.pause()
      socket.on('error', () => this.#destroy(pair))
      socket.on('close', () => this.#destroy(pair))
    }
    client.on('data', (chunk) => this.#request(pair, chunk))
    pair.server.on('data', (chunk) => this.#answer(pair, chunk))
  }

  #request(pair: Pair, chunk: Buffer): void {
    const index = this.#cuts.findIndex(({ when }) => when(chunk))
    const [cut] = index < 0 ? [] : this.#cuts.splice(index, 1)
    if (cut?.before === 'request') {
      this.#destroy(pair)
      cut.done(async () => undefined)
      return
    }
    if (cut?.before === 'delivery') {
      cut.done(this.#detach(pair, chunk))
      return
    }
    if (cut) pair.doomed = cut
    if (pair.speaker === 'server') this.roundTrips++
    pair.speaker = 'client'
    pair.server.write(chunk)
  }

  #answer(pair: Pair, chunk: Buffer): void {
    const { doomed } = pair
    if (doomed) {
      this.#destroy(pair)
      doomed.done(async () => undefined)
      return
    }
    pair.speaker = 'server'
    this.onAnswer?.(chunk)
    pair.client.write(chunk)
  }

  /** Ends the client's side of a connection. */
  #detach(pair: Pair, request: Buffer): Delivery {
    const { server } = pair
    this.#pairs.delete(pair)
    pair.client.removeAllListeners('close').destroy()
    server.removeAllListeners('data')
    return async () => {
      server.write(request)
      await once(server, 'data')
      server.destroy()
    }
  }

  #destroy(pair: Pair): void {
    this.#pairs.delete(pair)
    pair.client.destroy()
    pair.server.destroy()
  }
}
