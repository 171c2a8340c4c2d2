import { afterEach, describe, expect, it } from 'vitest'
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
})
