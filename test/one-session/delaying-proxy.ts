import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** Stands between a browser and a server that may be restarted, and keeps each piece for a while: a connection over the net. */
export class DelayingProxy {
  readonly port: number
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
  }

  /** @param upstream the server's port at this moment @param latency ms, in each direction */
  static async start(upstream: () => number, latency: number): Promise<DelayingProxy> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const proxy = new DelayingProxy(server)
    server.on('connection', (client) => {
      const target = connect(upstream(), '127.0.0.1')
      proxy.#pass(client, target, latency)
      proxy.#pass(target, client, latency)
    })
    return proxy
  }

  async close(): Promise<void> {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #pass(from: Socket, to: Socket, latency: number): void {
    this.#sockets.add(from)
    from.on('data', (data) => setTimeout(() => to.write(data), latency))
    from.on('end', () => setTimeout(() => to.end(), latency))
    from.on('error', () => to.destroy())
    from.on('close', () => {
      this.#sockets.delete(from)
      setTimeout(() => to.destroy(), latency)
    })
  }
}
