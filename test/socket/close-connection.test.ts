import { createRequire } from 'node:module'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { mirror } from '../../src/client/index.js'
import { MIRROR_EVENT } from '../../src/client/protocol.js'
import { type App, closeApps, startApp } from '../support/app.js'
import { CookieBrowser, closePages } from '../support/browser.js'
import { letIn } from '../support/handshake.js'
import { next, until } from '../support/wait.js'

// The one that Engine.IO has. Both are dependencies of Socket.IO and not of this package.
const engine = 'engine.io'
const { WebSocket } = createRequire(import.meta.resolve(engine))('ws')

/** As long as no other timer. */
const CLOSE_TIMEOUT = 29_871
/** The timers that Engine.IO has started because it closes a polling connection that has no poll to answer. */
let timers: NodeJS.Timeout[]

beforeEach(() => {
  timers = []
  const { setTimeout } = globalThis
  vi.spyOn(globalThis, 'setTimeout').mockImplementation(((listener: () => void, ms?: number, ...args: []) => {
    const timer = setTimeout(listener, ms, ...args)
    if (ms === CLOSE_TIMEOUT) timers.push(timer)
    return timer
  }) as typeof setTimeout)
})

afterEach(async () => {
  closePages()
  await closeApps()
  vi.restoreAllMocks()
})

async function started(): Promise<App> {
  const app = await startApp({
    shared: { publish: (session) => ({ n: session.n }) },
    wire: (io, shared) => void shared.attach(io),
    routes: (http) => void http.post('/renew', (req, res, after) => app.shared.renewal()(req, res, after)),
  })
  app.io.engine.on('connection', (conn: any) => {
    if (conn.transport.name === 'polling') conn.transport.closeTimeout = CLOSE_TIMEOUT
  })
  return app
}

const connections = (app: App): any[] => Object.values((app.io.engine as any).clients)

/** A client on polling that polls when the test says so, and asks for the renewal of its session. */
async function refusedBetweenPolls(app: App) {
  const url = `${app.url}/socket.io/?EIO=4&transport=polling`
  const opened = await (await fetch(url)).text()
  const { sid } = JSON.parse(opened.slice(1)) as { sid: string }
  const [conn] = connections(app)
  await (await fetch(`${url}&sid=${sid}`, { method: 'POST', body: `40${JSON.stringify({ [MIRROR_EVENT]: [0, 1] })}` })).text()
  await until(() => conn.readyState === 'closing')
  return { conn, sid, url: `${url}&sid=${sid}` }
}

describe('a polling connection that is closed while no poll waits for an answer', () => {
  it('answers the next poll with what it had to say, and the one after it with the end', async () => {
    const app = await started()
    const { conn, url } = await refusedBetweenPolls(app)
    expect(await (await fetch(url)).text()).toContain('RENEWAL_NEEDED')
    expect(conn.readyState).toBe('closing')
    expect(await (await fetch(url)).text()).toBe('1')
    expect(conn.readyState).toBe('closed')
    expect(timers).toEqual([])
  })

  it('ends with an upgrade, after what it had to say', async () => {
    const app = await started()
    const { conn, sid } = await refusedBetweenPolls(app)
    const socket = new WebSocket(`${app.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket&sid=${sid}`)
    const received: string[] = []
    socket.on('message', (data: Buffer) => received.push(String(data)))
    const closed = next(socket, 'close')
    await next(socket, 'open')
    socket.send('2probe')
    await until(() => received.includes('3probe'))
    socket.send('5')
    await closed
    expect(received.join()).toContain('RENEWAL_NEEDED')
    expect(conn.readyState).toBe('closed')
    expect(timers).toEqual([])
  })

  it('ends with the server', async () => {
    const app = await started()
    const { conn } = await refusedBetweenPolls(app)
    app.server.closeAllConnections()
    await app.io.close()
    expect(conn.readyState).toBe('closed')
    expect(timers).toEqual([])
  })
})

describe.each([[['polling', 'websocket'] as const], [['polling'] as const]])('by %s', (transports) => {
  it('nothing that could hold the process is left of a renewal, a logout and an end of the server', async () => {
    const app = await started()
    const browser = new CookieBrowser()
    const client = browser.open(app.url, { transports: [...transports] })
    const live = mirror<{ n: number }>(client, { renew: () => browser.fetch(`${app.url}/renew`, { method: 'POST' }) })
    await until(() => live.status === 'live')
    const gone = next(client, 'disconnect')
    await browser.fetch(`${app.url}/regenerate`)
    await gone
    await letIn(client)
    live.close()
    client.disconnect()
    await until(() => connections(app).length === 0)
    await app.io.close()
    expect(timers.filter((timer) => timer.hasRef() && !(timer as any)._destroyed)).toEqual([])
  })
})
