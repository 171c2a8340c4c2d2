import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import expressSession, { type Store } from 'express-session'
import fileStore from 'session-file-store'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { closeApps, startApp } from '../support/app.js'
import { collect, tab } from '../support/live.js'
import { MongoHabits } from '../support/mongo-habits.js'
import { FileLikeStore } from '../support/stores.js'

const folder = mkdtempSync(join(tmpdir(), 'sharedsession-store-fields-'))
afterEach(closeApps)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const FileStore = fileStore(expressSession)

/** Puts a stamp of a name that nobody knows on what it hands out, each time another one. */
class StampingStore extends FileLikeStore {
  #moments = 0

  override get(sid: string, callback: (error?: any, session?: any) => void): void {
    super.get(sid, (error, session) => callback(error, session && { ...session, readAt: Date.now() + this.#moments++ }))
  }
}

const STORES: Record<string, () => Store> = {
  'session-file-store': () => new FileStore({ path: folder, retries: 0, reapInterval: -1, logFn: () => undefined }),
  'a store with the habits of connect-mongo': () => new MongoHabits(),
  'a store that nobody knows': () => new StampingStore(),
}

describe.each(Object.entries(STORES))('the time stamps of %s', (_name, make) => {
  async function start() {
    const app = await startApp({ store: make() })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const { client, socket, session } = await tab(app, browser)
    return { app, browser, client, socket, session }
  }

  it('are not the session’s: no change event reports them, and no live session has them', async () => {
    const { app, browser, socket, session } = await start()
    const changes = collect(socket, 'session:changed')
    for (let look = 0; look < 3; look++) {
      await browser.get('/session')
      await session.reload()
    }
    expect(changes).toEqual([])
    expect(app.shared.snapshot(socket)).toEqual({ user: 'ada' })
    // Writes of others are reported, and nothing else.
    await browser.get('/set?a=1')
    await session.reload()
    expect(changes.map((change: any) => [change.keys, change.origin])).toEqual([[['a'], 'http']])
  })

  it('are counted neither as a merge nor as a conflict, and are visible to requests as without this package', async () => {
    const { app, browser, session } = await start()
    session.b = 2
    await app.shared.flush()
    await browser.get('/set?a=1')
    const { body } = await browser.get('/session')
    expect(body).toMatchObject({ user: 'ada', a: '1', b: 2 })
    expect(Object.keys(body).some((key) => ['__lastAccess', 'lastModified', 'readAt'].includes(key))).toBe(true)
    expect(app.shared.stats()).toMatchObject({ merges: 0, conflicts: 0 })
  })
})
