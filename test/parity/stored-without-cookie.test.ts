import express, { type ErrorRequestHandler } from 'express'
import expressSession, { MemoryStore, type SessionOptions } from 'express-session'
import { afterEach, describe, expect, it } from 'vitest'
import { closeApps, startApp } from '../support/app.js'
import { next } from '../support/wait.js'

afterEach(closeApps)

const SID = 'abc'
const OPTIONS: SessionOptions = { secret: 'secret', resave: false, saveUninitialized: false, genid: () => SID }

interface Answer {
  status: number
  body: unknown
}

const report: ErrorRequestHandler = (error, _req, res, _next) => {
  res.status(500).json({ message: error.message })
}

/** What a request gets whose stored session has this in the place of its cookie. */
async function answerOf(url: string, store: MemoryStore, cookie: unknown): Promise<Answer & { header: string; stored: unknown }> {
  const first = await fetch(`${url}/write`)
  const [header = ''] = (first.headers.getSetCookie()[0] ?? '').split(';')
  const { sessions } = store as unknown as { sessions: Record<string, string> }
  sessions[SID] = JSON.stringify({ cookie, user: 'ada' })
  const response = await fetch(`${url}/read`, { headers: { cookie: header } })
  return { status: response.status, body: await response.json(), header, stored: JSON.parse(sessions[SID] ?? 'null') }
}

function addRoutes(http: express.Express): void {
  http.get('/write', (req, res) => {
    req.session.user = 'ada'
    res.json({})
  })
  http.get('/read', (req, res) => void res.json(req.session))
  http.use(report)
}

/** The same without this package. */
async function plainAnswer(cookie: unknown): Promise<Answer> {
  const store = new MemoryStore()
  const http = express().use(expressSession({ ...OPTIONS, store }))
  addRoutes(http)
  const server = http.listen(0)
  await next(server, 'listening')
  const { port } = server.address() as { port: number }
  try {
    const { header: _, ...answer } = await answerOf(`http://127.0.0.1:${port}`, store, cookie)
    return answer
  } finally {
    server.close()
  }
}

describe.each([undefined, 'generic'] as const)('a stored session without a usable cookie, driver: %s', (driver) => {
  it.each([5, 'text', true, null, 0, '', false, [], undefined])('%j: HTTP answers as without this package', async (cookie) => {
    const store = new MemoryStore()
    const app = await startApp({ store, session: OPTIONS, shared: { driver }, routes: addRoutes })
    const { header, ...answer } = await answerOf(app.url, store, cookie)
    expect(answer).toEqual(await plainAnswer(cookie))
    expect(header).not.toBe('')
  })

  it('update() changes the data of one', async () => {
    const store = new MemoryStore()
    const app = await startApp({ store, session: OPTIONS, shared: { driver }, routes: addRoutes })
    await answerOf(app.url, store, 5)
    const recipe = (draft: any): void => void Object.assign(draft, { n: 1 })
    expect(await app.shared.update(SID, recipe)).toEqual({ user: 'ada', n: 1 })
  })

  it('a socket has its data', async () => {
    const store = new MemoryStore()
    const app = await startApp({ store, session: OPTIONS, shared: { driver }, routes: addRoutes })
    const { header } = await answerOf(app.url, store, 5)
    const browser = app.browser()
    browser.cookie = header
    const client = await browser.connect()
    expect(await client.emitWithAck('get')).toMatchObject({ user: 'ada' })
  })
})
