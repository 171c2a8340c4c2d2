import type { AddressInfo } from 'node:net'
import { connect, createServer, type Socket as TcpSocket } from 'node:net'
import fc from 'fast-check'
import { afterEach, expect, it } from 'vitest'
import { closeApps, startApp } from '../support/app.js'
import { sidOf } from '../support/sid.js'
import { mirrored } from './mirror.js'

afterEach(closeApps)

/** All bytes that a server sends. */
async function tap(port: number): Promise<{ port: number; sent(): string; close(): void }> {
  const chunks: Buffer[] = []
  const sockets: TcpSocket[] = []
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    sockets.push(client, upstream)
    client.pipe(upstream)
    upstream.on('data', (chunk) => chunks.push(chunk as Buffer))
    upstream.pipe(client)
    for (const socket of [client, upstream]) socket.on('error', () => socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    sent: () => Buffer.concat(chunks).toString('latin1'),
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

/** A word that is nowhere else. */
const secret = fc.stringMatching(/^[A-Za-z0-9]{12}$/).map((text) => `SECRET${text}`)
const hidden = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 2 },
    secret,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(secret, tie('value'), { maxKeys: 3 }),
  ),
})).value
const shown = fc.jsonValue({ maxDepth: 2 })
const steps = fc.array(fc.record({ shown, hidden, name: secret, by: fc.constantFrom('socket', 'update', 'back', 'ask') }), {
  minLength: 1,
  maxLength: 6,
})

it('no byte that leaves the server is of the id, the cookie or what is not published', async () => {
  const app = await startApp({
    session: { cookie: { maxAge: 3_600_000, path: '/', sameSite: 'lax' } },
    shared: { publish: ['shown', 'part.shown'] as never },
  })
  const { port } = app.server.address() as AddressInfo
  const wire = await tap(port)
  const url = app.url
  try {
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const browser = app.browser()
        await browser.get('/set?shown=1&hidden=SECRET')
        const sid = sidOf(browser)
        app.url = `http://127.0.0.1:${wire.port}`
        let mirror = await mirrored(browser)
        for (const step of all) {
          const data = { shown: step.shown, part: { shown: step.shown, other: step.hidden }, [step.name]: step.hidden }
          if (step.by === 'back') {
            mirror.client.disconnect()
            mirror = await mirrored(browser, { before: mirror })
          } else if (step.by === 'ask') mirror.client.emit('session:mirror', 0)
          else if (step.by === 'update') await app.shared.update(sid, (draft: any) => Object.assign(draft, data))
          else for (const [key, value] of Object.entries(data)) await mirror.client.emitWithAck('set', key, value)
        }
        await app.shared.destroy(sid)
        app.url = url
        const sent = wire.sent()
        expect(sent).toContain('session:mirror')
        expect(sent).not.toContain(sid)
        expect(sent).not.toContain(decodeURIComponent(browser.cookie!.split('=')[1]!).slice(2))
        for (const word of ['SECRET', 'originalMaxAge', 'sameSite', 'cookie"']) expect(sent).not.toContain(word)
      }),
      { numRuns: 25 },
    )
  } finally {
    app.url = url
    wire.close()
  }
})
