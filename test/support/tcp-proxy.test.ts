import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { TcpProxy } from './tcp-proxy.js'
import { until } from './wait.js'

let proxy: TcpProxy
let client: Socket
const received: string[] = []

const server = createServer((socket) => {
  socket.on('data', (chunk) => {
    received.push(String(chunk))
    socket.write(`answer to ${chunk}`)
  })
  socket.on('error', () => undefined)
})

beforeEach(async () => {
  received.length = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  proxy = await TcpProxy.start((server.address() as AddressInfo).port)
  client = connect(proxy.port, '127.0.0.1')
  await once(client, 'connect')
})

afterEach(async () => {
  client.destroy()
  await proxy.stop()
  server.close()
  await once(server, 'close')
})

async function ask(question: string): Promise<string> {
  client.write(question)
  return String((await once(client, 'data'))[0])
}

it('passes on, and counts', async () => {
  expect(await ask('one')).toBe('answer to one')
  expect(await ask('two')).toBe('answer to two')
  expect(proxy.roundTrips).toBe(2)
})

it('cuts before the request', async () => {
  expect(await ask('one')).toBe('answer to one')
  const cut = proxy.cut('request', (request) => String(request) === 'three')
  expect(await ask('two')).toBe('answer to two')
  client.write('three')
  await Promise.all([cut, once(client, 'close')])
  expect(received).toEqual(['one', 'two'])
})

it('cuts before the answer', async () => {
  const cut = proxy.cut('answer')
  client.write('one')
  let answered = false
  client.on('data', () => {
    answered = true
  })
  await Promise.all([cut, once(client, 'close')])
  expect(received).toEqual(['one'])
  expect(answered).toBe(false)
})

it('stalls, and goes on', async () => {
  proxy.stall()
  const answer = ask('one')
  await once(connect(proxy.port, '127.0.0.1').end(), 'connect')
  expect(received).toEqual([])
  proxy.resume()
  expect(await answer).toBe('answer to one')
})

it('cuts all', async () => {
  await ask('one')
  const closed = once(client, 'close')
  proxy.cutAll()
  await closed
  await until(() => proxy.connections === 0)
})
