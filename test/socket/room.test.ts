import { afterEach, describe, expect, it } from 'vitest'
import { closeApps, startApp } from '../support/app.js'
import { sidOf } from '../support/handshake.js'
import { next } from '../support/wait.js'

afterEach(closeApps)

describe('shared.room(target)', () => {
  it("reaches exactly the session's sockets", async () => {
    const app = await startApp()
    const [ada, grace] = [app.browser(), app.browser()]
    await ada.get('/set?user=ada')
    await grace.get('/set?user=grace')
    const tabs = [await ada.connect(), await ada.connect({ transports: ['polling'] })]
    const other = await grace.connect()
    const heard: string[] = []
    other.onAny((event) => void heard.push(event))
    const arrived = tabs.map((tab) => next(tab, 'hello'))
    app.io.to(app.shared.room(sidOf(ada))).emit('hello', 'ada')
    expect(await Promise.all(arrived)).toEqual(['ada', 'ada'])
    await other.emitWithAck('get')
    expect(heard).toEqual([])
    expect(await app.io.in(app.shared.room(sidOf(ada))).fetchSockets()).toHaveLength(2)
  })

  it('is the same for each kind of target', async () => {
    let byRequest: string | undefined
    const app = await startApp({
      routes(http) {
        http.get('/room', (req, res) => {
          byRequest = app.shared.room(req)
          res.json({})
        })
      },
    })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    await browser.connect()
    await browser.get('/room')
    const [socket] = app.sockets
    const targets: any[] = [sidOf(browser), socket, socket!.handshake, socket!.request, { sessionID: sidOf(browser) }]
    for (const target of targets) expect(app.shared.room(target)).toBe(byRequest)
  })

  it("has no session id in its name, and no two sessions' rooms are the same", async () => {
    const app = await startApp()
    expect(app.shared.room('an-id')).not.toContain('an-id')
    expect(app.shared.room('an-id')).not.toBe(app.shared.room('another-id'))
    // 128 bits at least, in base64.
    expect(app.shared.room('an-id').split(':').at(-1)!.length).toBeGreaterThanOrEqual(22)
  })

  it('has no socket that has disconnected', async () => {
    const app = await startApp()
    const client = await app.browser().connect()
    const room = app.shared.room(app.sockets[0]!)
    expect(app.io.of('/').adapter.rooms.has(room)).toBe(true)
    const gone = next(app.sockets[0]!, 'disconnect')
    client.disconnect()
    await gone
    expect(app.io.of('/').adapter.rooms.has(room)).toBe(false)
  })
})

describe('targets', () => {
  it('a value that is no target: BAD_ARGUMENT', async () => {
    const app = await startApp({ wire: () => {} })
    await app.browser().connect()
    for (const target of ['', undefined, null, 7, {}, { sessionID: '' }, { sessionID: 5 }, app.sockets[0]] as any[]) {
      const bad = expect.objectContaining({ code: 'BAD_ARGUMENT' })
      expect(() => app.shared.room(target)).toThrow(bad)
      expect(() => app.shared.snapshot(target)).toThrow(bad)
      await expect(app.shared.destroy(target)).rejects.toEqual(bad)
      await expect(app.shared.update(target, () => {})).rejects.toEqual(bad)
    }
  })

  it('snapshot(target) is a plain deep copy; of a session that no socket has, NO_SESSION', async () => {
    const app = await startApp()
    const browser = app.browser()
    await browser.get('/set?user=ada')
    expect(() => app.shared.snapshot(sidOf(browser))).toThrow(expect.objectContaining({ code: 'NO_SESSION' }))
    await browser.connect()
    const copy = app.shared.snapshot(sidOf(browser)) as any
    expect(copy).toEqual({ user: 'ada' })
    expect(structuredClone(copy)).toEqual(copy)
    copy.user = 'mallory'
    expect(app.shared.session(app.sockets[0]!).user).toBe('ada')
  })

  it('shared.session(socket) throws NO_SESSION for sockets that did not come through the middleware, and says what to do', async () => {
    const app = await startApp({ wire: () => {} })
    await app.browser().connect()
    for (const other of [app.sockets[0], {}] as any[]) {
      expect(() => app.shared.session(other)).toThrow(
        expect.objectContaining({ code: 'NO_SESSION', message: expect.stringContaining('io.use(shared)') }),
      )
    }
  })
})
