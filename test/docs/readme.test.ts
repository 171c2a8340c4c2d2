import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { pages } from '../../docs/.vitepress/pages.js'
import { textOf } from '../../scripts/markdown.mjs'
import { next, until } from '../support/wait.js'
import { openPage } from './page.js'
import { folderWith, program } from './program.js'
import { client, cookieOf, json, listen, scene, tidy } from './scene.js'
import { run, snippet } from './snippets.js'

afterEach(tidy)

async function freePort(): Promise<number> {
  const server = createServer().listen(0)
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

describe('README.md', () => {
  it('has at most 200 lines', () => {
    expect(textOf('README.md').trimEnd().split('\n').length).toBeLessThanOrEqual(200)
  })

  it('lists every page of the site, in the order of its sidebar', () => {
    const [, table] = textOf('README.md').split('## Documentation\n')
    const listed = [...table!.matchAll(/\/blob\/main\/docs\/([\w-]+)\.md\)/g)].map(([, name]) => name)
    expect(listed).toEqual(pages.map(({ name }) => name))
  })

  it('quick start: two tabs count together, by HTTP and by socket', async () => {
    const port = await freePort()
    const code = snippet('README#server.ts').replace('listen(3000,', `listen(${port},`)
    await program(folderWith({ 'server.ts': code, 'index.html': snippet('README#index.html') }), 'server.ts').line(/http:/)
    const one = await openPage(`http://localhost:${port}`)
    const two = await openPage(`http://localhost:${port}`, one.browser)
    const shown = (count: number) =>
      until(() => [one, two].every(({ elements }) => String(elements.count!.textContent) === String(count)))
    await shown(0)
    await one.elements.http!.onclick!()
    await shown(1)
    one.elements.socket!.onclick!()
    await shown(2)
    two.elements.socket!.onclick!()
    await shown(3)
    await two.elements.http!.onclick!()
    await shown(4)
  })

  it('read and write: a request sees what a handler wrote after an await', async () => {
    const around = scene()
    await run('everyday-write', around)
    const url = await listen(around, around.shared)
    const cookie = cookieOf(await fetch(`${url}/start`))!
    expect(await client(url, cookie).emitWithAck('cart:add', 'apple')).toBe('ok')
    expect(await json(`${url}/session`, cookie)).toMatchObject({ cart: { items: [{ sku: 'apple', price: 3 }] } })
  })

  it('listen: a change, an error and an end', async () => {
    const around = scene()
    const lines: unknown[][] = []
    const note = (...line: unknown[]) => lines.push(line)
    await run('everyday-events', { ...around, console: { log: note, error: note } })
    around.app.post('/theme', (req, res) => {
      req.session.theme = 'light'
      res.json({})
    })
    const url = await listen(around, around.shared)
    const cookie = cookieOf(await fetch(`${url}/start`))!
    const socket = client(url, cookie)
    const connected = next(around.io, 'connection')
    await next(socket, 'connect')
    const changed = new Promise((resolve) => socket.once('changed', (...args) => resolve(args)))
    await fetch(`${url}/theme`, { method: 'POST', headers: { cookie } })
    expect(await changed).toEqual([['theme'], 'http'])
    const live = around.shared.session(await connected)
    Object.assign(live, { theme: 1n })
    await until(() => lines.some(([code]) => code === 'NOT_STORABLE'))
    await around.shared.destroy(live.id)
    await until(() => lines.some(([text, reason]) => text === 'a session has ended:' && reason === 'destroyed'))
  })

  it('update(): of two requests for the last credit, one gets it', async () => {
    const around = scene()
    around.app.get('/credit', (req, res) => {
      req.session.credit = 1
      res.json({})
    })
    await run('everyday-update', around)
    const url = await listen(around, around.shared)
    const cookie = cookieOf(await fetch(`${url}/credit`))!
    const spend = (headers: Record<string, string> = { cookie }) => fetch(`${url}/spend`, { method: 'POST', headers })
    const [one, two] = await Promise.all([spend(), spend()])
    expect([one.status, two.status].sort()).toEqual([200, 500])
    expect(await (await spend({})).text()).toContain('not stored yet')
    expect(await json(`${url}/session`, cookie)).toMatchObject({ credit: 0 })
  })

  it('log in and out: the session gets a new id each time, and the old ones end', async () => {
    const around = scene()
    await run('everyday-login', around)
    const url = await listen(around, around.shared)
    const before = cookieOf(await fetch(`${url}/start`))!
    const connected = next(around.io, 'connection')
    client(url, before, { reconnection: false })
    const regenerated = next(await connected, 'session:destroyed')
    const after = cookieOf(await fetch(`${url}/login`, { method: 'POST', headers: { cookie: before } }))!
    expect(await regenerated).toEqual({ reason: 'regenerated' })
    const again = next(around.io, 'connection')
    client(url, after, { reconnection: false })
    expect(around.shared.session(await again).user).toMatchObject({ name: 'Ada' })
    const ended = next(await again, 'session:destroyed')
    const out = cookieOf(await fetch(`${url}/logout`, { method: 'POST', headers: { cookie: after } }))!
    expect(await ended).toEqual({ reason: 'regenerated' })
    expect(await json(`${url}/session`, out)).not.toHaveProperty('user')
    expect(await json(`${url}/session`, after)).not.toHaveProperty('user')
  })
})
