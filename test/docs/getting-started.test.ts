import expressSession from 'express-session'
import { afterEach, describe, expect, it } from 'vitest'
import { mirror } from '../../src/client/index.js'
import sharedsession, { type SharedSession } from '../../src/index.js'
import type { Browser } from '../support/app.js'
import { sidOf } from '../support/sid.js'
import { client, cookieOf, json, listen, surroundings, tidy } from './scene.js'
import { run } from './snippets.js'

afterEach(tidy)

describe('getting started', () => {
  it('a server: an HTTP request sees what a socket wrote after an await, and another socket gets session:changed', async () => {
    const around = surroundings()
    const lines: unknown[][] = []
    const console = { log: (...line: unknown[]) => lines.push(line) }
    const { shared } = await run('quickstart', { ...around, console }, 'shared')
    around.app.get('/theme', (req, res) => {
      req.session.theme = 'dark'
      res.json({})
    })
    const url = await listen(around, shared)
    const cookie = cookieOf(await fetch(`${url}/theme`))!
    const socket = client(url, cookie)
    expect(await socket.emitWithAck('cart:add', 'apple')).toBe('ok')
    const session = await json(`${url}/session`, cookie)
    expect(session).toMatchObject({ theme: 'dark', cart: { items: [{ sku: 'apple', price: 3 }] } })
    await client(url, cookie).emitWithAck('cart:add', 'pear')
    expect(lines).toEqual([[['cart'], 'socket']])
  })

  it('the page: what is published arrives, now and after each change', async () => {
    const around = surroundings()
    const { app, io, store, secret } = around
    const session = expressSession({ secret, store, resave: false, saveUninitialized: false })
    app.use(session)
    app.get('/user', (req, res) => {
      Object.assign(req.session, { user: { name: 'Ada' }, theme: 'dark' })
      res.json({})
    })
    let shared: SharedSession | undefined
    const make = (...args: Parameters<typeof sharedsession>) => {
      shared = sharedsession(...args)
      return shared
    }
    await run('first-mirror', { session, sharedsession: make })
    shared!.attach(io)
    const url = await listen(around, shared)
    const cookie = cookieOf(await fetch(`${url}/user`))!
    const lines: unknown[][] = []
    const console = { log: (...line: unknown[]) => lines.push(line) }
    const socket = client(url, cookie)
    await run('first-mirror-page', { mirror, io: () => socket, console })
    await expect
      .poll(() => lines)
      .toEqual([
        [undefined, undefined],
        ['Ada', []],
      ])
    await shared!.update(
      sidOf({ cookie } as Browser),
      (draft) => void Object.assign(draft, { cart: { items: [{ sku: 'tea', price: 3 }] } }),
    )
    await expect.poll(() => lines.at(-1)).toEqual(['Ada', [{ sku: 'tea', price: 3 }]])
  })
})
