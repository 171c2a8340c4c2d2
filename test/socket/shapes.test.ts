import { setFlagsFromString } from 'node:v8'
import { Server, type Socket } from 'socket.io'
import { connect } from 'socket.io-client'
import { afterEach, expect, it } from 'vitest'
import { closeApps, startApp } from '../support/app.js'

afterEach(closeApps)

// V8 says itself how it keeps an object. Only functions that are compiled with this flag may ask.
setFlagsFromString('--allow-natives-syntax')
const hasFastProperties: (target: object) => boolean = new Function('target', 'return %HasFastProperties(target)') as never
const haveSameShape: (first: object, second: object) => boolean = new Function(
  'first',
  'second',
  'return %HaveSameMap(first, second)',
) as never

/** A socket of a server without sessions. */
async function bareSocket(): Promise<{ socket: Socket; close(): void }> {
  const io = new Server(0)
  const connected = new Promise<Socket>((resolve) => io.on('connection', resolve))
  const { port } = io.httpServer.address() as { port: number }
  const client = connect(`http://127.0.0.1:${port}`, { transports: ['websocket'], forceNew: true })
  const close = (): void => {
    client.disconnect()
    io.close()
  }
  return { socket: await connected, close }
}

it('an idle connection takes no hash table that it has not with Socket.IO alone, and no shape of its own', async () => {
  const bare = await bareSocket()
  const app = await startApp({ wire: (io, shared) => void shared.attach(io) })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  // V8 settles the shapes of a kind of objects after the first few.
  for (let count = 0; count < 20; count++) await browser.connect({ transports: ['websocket'] })
  const [first, second] = app.sockets.slice(-2)
  expect(hasFastProperties(first!.conn.request)).toBe(hasFastProperties(bare.socket.conn.request))
  expect(haveSameShape(first!.conn.request, second!.conn.request)).toBe(true)
  expect(haveSameShape(first!.handshake, second!.handshake)).toBe(true)
  expect(haveSameShape(first!, second!)).toBe(true)
  bare.close()
})
