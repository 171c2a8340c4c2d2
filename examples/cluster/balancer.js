// @ts-check
import { connect, createServer } from 'node:net'

/**
 * Gives each connection to the next port.
 * @param {number} port
 * @param {() => number[]} ports of those that are there now
 */
export async function startBalancer(port, ports) {
  let turn = 0
  /** @type {Set<import('node:net').Socket>} */
  const open = new Set()
  const server = createServer((client) => {
    const there = ports()
    const chosen = there[turn++ % there.length]
    if (!chosen) {
      client.destroy()
      return
    }
    const node = connect(chosen, '127.0.0.1')
    client.pipe(node).pipe(client)
    for (const [socket, other] of /** @type {const} */ ([
      [client, node],
      [node, client],
    ])) {
      open.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        open.delete(socket)
        other.destroy()
      })
    }
  })
  await new Promise((resolve) => server.listen(port, () => resolve(undefined)))
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : port,
    stop() {
      server.close()
      for (const socket of open) socket.destroy()
    },
  }
}
