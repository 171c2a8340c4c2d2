import { once } from 'node:events'
import { io as connect } from 'socket.io-client'
import { expect, it } from 'vitest'
import { mirror } from '../../src/client/index.js'
import { startExample } from './run.js'

it.each(['SIGTERM', 'SIGINT'] as const)(
  'the demo prints its address, and %s ends it with code 0 while a socket is connected',
  async (signal) => {
    const demo = await startExample('cart/server.js')
    expect(demo.url).toMatch(/^http:\/\/localhost:\d+$/)
    expect(await (await fetch(demo.url)).text()).toContain('<title>')
    const client = connect(demo.url, { transports: ['websocket'], reconnection: false })
    expect(await mirror(client).ready).toEqual({ theme: 'auto', items: [], noted: false })
    const gone = once(client as never, 'disconnect')
    expect(await demo.stop(signal)).toEqual({ code: 0, signal: null, errors: '' })
    await gone
  },
)

it('the demo stands what a client should not send', async () => {
  const demo = await startExample('cart/server.js')
  const response = await fetch(`${demo.url}/session`, { method: 'POST' })
  const cookie = response.headers.getSetCookie()[0]!.split(';')[0]!
  const client = connect(demo.url, { transports: ['websocket'], reconnection: false, extraHeaders: { cookie } })
  const live = mirror<{ items: unknown[] }>(client)
  await live.ready
  client.emit('cart:add')
  client.emit('cart:add', 'guji')
  for (const [event, ...args] of [
    ['cart:add', { sku: 'guji' }],
    ['cart:quantity', 'guji', 'many'],
    ['cart:quantity', 'guji', -1],
    ['cart:remove', null],
  ] as [string, ...unknown[]][]) {
    await client.emitWithAck(event, ...args)
    expect(live.get()?.items).toEqual([])
  }
  expect((await fetch(`${demo.url}/login`, { method: 'POST', headers: { cookie } })).status).toBe(400)
  client.disconnect()
  expect(await demo.stop()).toMatchObject({ code: 0, errors: '' })
})
