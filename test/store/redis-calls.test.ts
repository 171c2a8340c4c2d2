import { RedisStore } from 'connect-redis'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { TrackedDocument } from '../../src/document/tracked-document.js'
import { closeApps, startApp } from '../support/app.js'
import { tab } from '../support/live.js'
import { startRedis } from '../support/redis.js'
import { nodeRedis } from '../support/redis-clients.js'
import { withService } from '../support/service.js'
import { until } from '../support/wait.js'

/** A needle that only the session's data contains. */
const NEEDLE = 'needle-in-the-session'

await withService('Redis', startRedis, (redis) => {
  const ends: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    vi.restoreAllMocks()
    await closeApps()
    for (const end of ends.splice(0)) await end()
  })

  /** Counts texts that are made of the session, and that are taken apart. */
  function watchTexts() {
    const count = { made: 0, read: 0 }
    const { stringify, parse } = JSON
    vi.spyOn(JSON, 'stringify').mockImplementation(((...args: Parameters<typeof stringify>) => {
      const json = stringify(...args)
      if (String(json).includes(NEEDLE)) count.made++
      return json
    }) as typeof stringify)
    vi.spyOn(JSON, 'parse').mockImplementation(((...args: Parameters<typeof parse>) => {
      if (String(args[0]).includes(NEEDLE)) count.read++
      return parse(...args)
    }) as typeof parse)
    return count
  }

  async function start() {
    const { client, command, end } = await nodeRedis(redis().port)
    ends.push(end)
    const app = await startApp({
      store: new RedisStore({ client: client as any }),
      shared: { autoSave: true },
      routes: (http) => http.get('/read', (req, res) => res.json({ length: req.session.user?.length })),
    })
    const browser = app.browser()
    await browser.get(`/set?user=${NEEDLE}`)
    return { app, browser, command }
  }

  it('a first write of an idle session is one compare-and-set from what the handshake has read, without another read', async () => {
    const { app, browser, command } = await start()
    const { session, socket, client } = await tab(app, browser)
    await command('CONFIG', 'RESETSTAT')
    expect(await client.emitWithAck('set', 'n', 1)).toBe('ok')
    const statistics = String(await command('INFO', 'commandstats'))
    expect(statistics).not.toMatch(/cmdstat_(mget|getex):/)
    // The script's own: one look at what it replaces.
    expect(/cmdstat_get:calls=(\d+)/.exec(statistics)?.[1] ?? '0').toMatch(/^[01]$/)
    expect(/cmdstat_evalsha:calls=(\d+)/.exec(statistics)?.[1]).toBe('1')
    expect(session).toMatchObject({ user: NEEDLE, n: 1 })
    expect(JSON.parse(await command('GET', `sess:${socket.handshake.sessionID}`))).toMatchObject({ user: NEEDLE, n: 1 })
  })

  it('an idle session has what another node commits, and is merged with what nobody has told of', async () => {
    const { app, browser, command } = await start()
    const { socket, client } = await tab(app, browser)
    const { session } = socket.handshake as any
    const there = await start()
    const same = Object.assign(there.app.browser(), { cookie: browser.cookie })
    await same.get('/set?theme=dark')
    await until(() => session.theme === 'dark')
    expect(session.user).toBe(NEEDLE)
    const idle = (await tab(there.app, same)).client
    const key = `sess:${(socket.handshake as any).sessionID}`
    // Past this library, so that no process is notified.
    const stored = JSON.parse(await command('GET', key))
    await command('SET', key, JSON.stringify({ ...stored, foreign: true }))
    await idle.emitWithAck('set', 'n', 1)
    await client.emitWithAck('set', 'm', 2)
    expect(JSON.parse(await command('GET', key))).toMatchObject({ user: NEEDLE, theme: 'dark', foreign: true, n: 1, m: 2 })
  })

  // The built package has its own copy of what is counted here.
  describe.skipIf(process.env.TEST_BUILT)('in proportion to the session', () => {
    it('a save of a live session serializes it once and parses nothing', async () => {
      const { app, browser, command } = await start()
      const { session, socket } = await tab(app, browser)
      await command('PING')
      session.n = 1
      await app.shared.flush()
      const spies = (['base', 'snapshot', 'rebase'] as const).map((name) => vi.spyOn(TrackedDocument.prototype, name))
      const texts = watchTexts()
      session.n = 2
      await app.shared.flush()
      expect(spies.map((spy) => spy.mock.calls.length)).toEqual([0, 0, 0])
      expect(texts).toEqual({ made: 1, read: 0 })
      vi.restoreAllMocks()
      expect(app.shared.snapshot(socket)).toMatchObject({ n: 2, user: NEEDLE })
      expect((await browser.get('/read')).body).toEqual({ length: NEEDLE.length })
    })

    it('a save after another writer’s parses and merges what that one has written', async () => {
      const { app, browser, command } = await start()
      const { session, socket } = await tab(app, browser)
      session.n = 1
      await app.shared.flush()
      // Past this library, so that no process is notified.
      const key = `sess:${socket.handshake.sessionID}`
      const stored = JSON.parse(await command('GET', key))
      await command('SET', key, JSON.stringify({ ...stored, foreign: true }))
      session.n = 2
      await app.shared.flush()
      expect(JSON.parse(await command('GET', key))).toMatchObject({ n: 2, foreign: true })
      expect(session.foreign).toBe(true)
      session.n = 3
      await app.shared.flush()
      expect(JSON.parse(await command('GET', key))).toMatchObject({ n: 3, foreign: true })
    })

    it('a request that only reads parses the session once, as without this library', async () => {
      const { browser } = await start()
      const texts = watchTexts()
      await browser.get('/read')
      expect(texts.read).toBe(1)
    })
  })
})
