import { afterEach, expect, it } from 'vitest'
import { closeApps, startApp } from './support/app.js'
import { next } from './support/wait.js'

afterEach(closeApps)

it('end to end', async () => {
  const app = await startApp()
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const client = await browser.connect()
  const changed = next(app.sockets[0]!, 'session:changed')
  expect(await client.emitWithAck('set', 'cart', { items: [1] })).toBe('ok')
  expect((await browser.get('/session')).body).toMatchObject({ user: 'ada', cart: { items: [1] } })
  await browser.get('/set?theme=dark')
  expect(await changed).toMatchObject({
    keys: ['theme'],
    origin: 'http',
    patches: [{ op: 'add', path: ['theme'], value: 'dark' }],
  })
  expect(await client.emitWithAck('get')).toMatchObject({ theme: 'dark', user: 'ada' })
  const gone = next(client, 'disconnect')
  const ended = next(app.sockets[0]!, 'session:destroyed')
  await browser.get('/destroy')
  expect(await ended).toEqual({ reason: 'destroyed' })
  await gone
})
