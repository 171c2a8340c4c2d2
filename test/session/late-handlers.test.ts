import { afterEach, expect, it } from 'vitest'
import { closeApps } from '../support/app.js'
import { visited } from '../support/live.js'
import { deferred, next } from '../support/wait.js'

afterEach(closeApps)

it('a handler that first uses the session when its socket has gone leaves those that have connected since their session', async () => {
  const begun = deferred<void>()
  const goOn = deferred<void>()
  const saved = deferred<void>()
  const { app, browser, stored } = await visited({
    connection(socket) {
      socket.on('late', async () => {
        begun.resolve()
        await goOn.promise
        const { session } = socket.handshake as any
        session.late = true
        await session.save()
        saved.resolve()
      })
    },
  })
  const first = await browser.connect()
  first.emit('late')
  await begun.promise
  const gone = next(app.sockets[0]!, 'disconnect')
  first.disconnect()
  await gone
  await browser.connect()
  const second = app.sockets[1]!
  const changed = next(second, 'session:changed')
  goOn.resolve()
  await saved.promise
  expect((await changed) as object).toMatchObject({ patches: [{ path: ['late'] }] })
  expect((second.handshake as any).session).toMatchObject({ user: 'ada', late: true })
  expect(stored()).toMatchObject({ user: 'ada', late: true })
  const ended = next(second, 'session:destroyed')
  await browser.get('/destroy')
  expect(await ended).toEqual({ reason: 'destroyed' })
})
