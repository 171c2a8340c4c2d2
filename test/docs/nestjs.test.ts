import type { Server } from 'socket.io'
import { afterEach, describe, expect, it } from 'vitest'
import { next } from '../support/wait.js'
import { client, cookieOf, listen, scene, tidy } from './scene.js'
import { run } from './snippets.js'

afterEach(tidy)

describe('NestJS', () => {
  it('NestJS: the adapter gives gateways their sessions, with a namespace and without', async () => {
    const around = scene()
    // Nest cannot be a dependency here: this is what its IoAdapter.create() does.
    class IoAdapter {
      create(_port: number, options?: { namespace?: string; server?: Server }) {
        return options?.server && options.namespace ? options.server.of(options.namespace) : around.io
      }
    }
    const { SessionIoAdapter } = await run('session-io.adapter.ts', { IoAdapter }, 'SessionIoAdapter')
    const adapter = new SessionIoAdapter({}, around.shared)
    const io = adapter.create(0) as Server
    const named = adapter.create(0, { server: io, namespace: '/chat' })
    const url = await listen(around, around.shared)
    const cookie = cookieOf(await fetch(`${url}/start`))!
    const connected = [next(io, 'connection'), next(named, 'connection')]
    client(url, cookie)
    client(`${url}/chat`, cookie)
    for (const socket of await Promise.all(connected)) expect(socket.handshake.session.theme).toBe('dark')
  })
})
