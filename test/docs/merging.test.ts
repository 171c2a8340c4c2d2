import { afterEach, describe, expect, it } from 'vitest'
import { deferred } from '../support/wait.js'
import { client, cookieOf, json, listen, scene, tidy } from './scene.js'

afterEach(tidy)

describe('merging', () => {
  async function queue() {
    const around = scene()
    const { app, io, shared } = around
    const [taken, released] = [deferred(), deferred()]
    app.get('/queue', (req, res) => {
      req.session.queue = ['a', 'b', 'c']
      res.end()
    })
    app.get('/take', async (req, res) => {
      const first = req.session.queue.shift()
      taken.resolve()
      await released.promise
      res.json(first)
    })
    app.get('/update', async (req, res) => {
      let first: unknown
      await shared.update(req, (draft) => {
        first = draft.queue.shift()
      })
      res.json(first)
    })
    io.on('connection', (socket) => {
      socket.on('take', (ack) => ack(shared.session(socket).queue.shift()))
    })
    const url = await listen(around, shared)
    const cookie = cookieOf(await fetch(`${url}/queue`))!
    return { url, cookie, taken, released, left: async () => (await json(`${url}/session`, cookie)).queue }
  }

  it('two writers that each take the first element of an array take the same one', async () => {
    const { url, cookie, taken, released, left } = await queue()
    const request = json(`${url}/take`, cookie)
    await taken.promise
    expect(await client(url, cookie).emitWithAck('take')).toBe('a')
    released.resolve()
    expect(await request).toBe('a')
    expect(await left()).toEqual(['b', 'c'])
  })

  it('two sockets of one process, and two calls of update(), take two elements', async () => {
    const { url, cookie, left } = await queue()
    const [one, two] = [client(url, cookie), client(url, cookie)]
    const sockets = await Promise.all([one.emitWithAck('take'), two.emitWithAck('take')])
    expect(sockets.sort()).toEqual(['a', 'b'])
    expect(await left()).toEqual(['c'])
    await fetch(`${url}/queue`, { headers: { cookie } })
    const updates = await Promise.all([json(`${url}/update`, cookie), json(`${url}/update`, cookie)])
    expect(updates.sort()).toEqual(['a', 'b'])
    expect(await left()).toEqual(['c'])
  })
})
