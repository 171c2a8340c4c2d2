import type { Socket } from 'socket.io'
import { afterEach, expect, it } from 'vitest'
import { closeApps } from '../support/app.js'
import { visited } from '../support/live.js'
import { deferred, next } from '../support/wait.js'

afterEach(closeApps)

it('a handler that first uses the session when its socket has gone leaves those that have connected since their session', async () => {
  const begun = deferred()
  const goOn = deferred()
  const saved = deferred()
  const sockets: Socket[] = []
  const { browser, stored } = await visited({
    // The handlers of the main namespace have used the session from the start.
    wire(io, shared) {
      io.of('/own').use(shared)
      io.of('/own').on('connection', (socket) => {
        sockets.push(socket)
        socket.on('late', async () => {
          begun.resolve()
          await goOn.promise
          const { session } = socket.handshake as any
          session.late = true
          session.save(() => saved.resolve())
        })
      })
    },
  })
  const first = await browser.connect({ namespace: '/own' })
  first.emit('late')
  await begun.promise
  const gone = next(sockets[0]!, 'disconnect')
  first.disconnect()
  await gone
  await browser.connect({ namespace: '/own' })
  const second = sockets[1]!
  const changed = next(second, 'session:changed')
  goOn.resolve()
  await saved.promise
  expect(await changed).toMatchObject({ patches: [{ path: ['late'] }] })
  expect((second.handshake as any).session).toMatchObject({ user: 'ada', late: true })
  expect(stored()).toMatchObject({ user: 'ada', late: true })
  const ended = next(second, 'session:destroyed')
  await browser.get('/destroy')
  expect(await ended).toEqual({ reason: 'destroyed' })
})
