import { io as connect } from 'socket.io-client'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { next } from '../support/wait.js'
import { type Example, startExample } from './run.js'

let example: Example
let cookie: string

beforeEach(async () => {
  example = await startExample('../test/examples/minimal-cjs.host.cjs')
  const response = await fetch(example.url)
  expect(await response.json()).toEqual({ userdata: null })
  cookie = response.headers.getSetCookie()[0]!.split(';')[0]!
})

afterEach(() => example.stop())

async function open() {
  const client = connect(example.url, { forceNew: true, transports: ['websocket'], extraHeaders: { cookie } })
  await next(client, 'connect')
  return client
}

const seen = async () => {
  const response = await fetch(example.url, { headers: { cookie } })
  return ((await response.json()) as { userdata: unknown }).userdata
}

it('what a socket writes and saves, HTTP reads: the example of the superseded package, verbatim but for the import', async () => {
  const client = await open()
  client.emit('login', { name: 'ada' })
  await expect.poll(seen).toEqual({ name: 'ada' })
  client.emit('logout')
  await expect.poll(seen).toBeNull()
  client.disconnect()
})
