import { afterEach, describe, expect, it } from 'vitest'
import type { StoreDriver } from '../../src/store/drivers/store-driver.js'
import { sample } from '../driver-testing/sample.js'
import { type App, type Browser, closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { DriverStore } from '../support/driver-store.js'
import { collectGarbage } from '../support/garbage.js'
import { failure, live, tab, visited } from '../support/live.js'
import { deferred, next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

const ONCE = { attempts: 1, timeout: 2000 }

/** A table whose column does not take the text "refused". */
function refusing(rows: Map<string, unknown>[] = []): StoreDriver {
  return sample((all, { write }) => {
    rows.push(all)
    return {
      async write(sid, next, ...rest) {
        if (!next.text.includes('refused')) return write(sid, next, ...rest)
        throw Object.assign(new Error('a text that the column cannot hold'), { code: '22P05' })
      },
    }
  })
}

/** A visitor's socket writes, its save fails, and the visitor leaves. @returns the session, weakly */
async function writeAndLeave(app: App, browser: Browser, key: string, value: unknown): Promise<WeakRef<object>> {
  const { client, socket, session } = await tab(app, browser)
  const failed = next(app.shared.events, 'session:error')
  session[key] = value
  await failed
  client.disconnect()
  await until(() => !socket.connected)
  app.sockets.length = 0
  return new WeakRef(session)
}

describe('a session whose client has left', () => {
  it('is not created by flush() where the store has refused the only write to it', async () => {
    const rows: Map<string, unknown>[] = []
    const app = await startApp({ store: new DriverStore(), shared: { driver: refusing(rows), revalidate: false, retry: ONCE } })
    await writeAndLeave(app, app.browser(), 'note', 'refused')
    await app.shared.flush()
    expect(rows[0]?.size).toBe(0)
  })

  it('is not kept where the store has refused what was written', async () => {
    const app = await startApp({ store: new DriverStore(), shared: { driver: refusing(), revalidate: false, retry: ONCE } })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    const session = await writeAndLeave(app, browser, 'note', 'refused')
    await collectGarbage()
    expect(session.deref()).toBeUndefined()
  })

  it('is not kept where it has become too large, and flush() says so', async () => {
    const { app, browser, client, sid, store } = await live({ shared: { maxBytes: 1000, retry: ONCE } })
    client.disconnect()
    const session = await writeAndLeave(app, browser, 'note', 'x'.repeat(1000))
    await collectGarbage()
    expect(session.deref()).toBeUndefined()
    expect(await failure(app.shared.flush())).toMatchObject({
      code: 'SAVE_FAILED',
      message: expect.stringContaining('1 session'),
    })
    await app.shared.flush()
    expect(store.stored(sid)).not.toHaveProperty('note')
  })

  it.each<[string, (session: any) => Promise<void>]>([
    ['discarded', (session) => session.reload()],
    ['undone', (session) => Object.assign(session, { user: 'ada' }).save()],
  ])('is not kept by a failed save whose changes were %s', async (_how, undo) => {
    expectWarning('SAVE_FAILED')
    const { app, store, browser } = await visited({ shared: { autoSave: false, retry: ONCE } })
    const open = async (): Promise<WeakRef<object>> => {
      const { client, socket, session } = await tab(app, browser)
      store.down()
      session.user = 'eve'
      expect(await failure(session.save!())).toMatchObject({ code: 'SAVE_FAILED' })
      store.up()
      await undo(session)
      client.disconnect()
      await until(() => !socket.connected)
      app.sockets.length = 0
      return new WeakRef(session)
    }
    const session = await open()
    await collectGarbage()
    expect(session.deref()).toBeUndefined()
  })

  it('is dropped where those that wait for the store are too large together: the oldest first', async () => {
    const warnings = expectWarning('More than 10000 sessions, or 100 MB of them, could not be saved')
    const store = new ControlledStore()
    const app = await startApp({ store, shared: { maxBytes: 1e9, retry: ONCE } })
    store.down()
    for (const name of ['first', 'second']) await writeAndLeave(app, app.browser(), name, 'x'.repeat(51_000_000))
    await until(() => warnings.length > 0)
    store.up()
    expect(await failure(app.shared.flush())).toMatchObject({ message: expect.stringContaining('1 session') })
    const stored = store.ids().flatMap((sid) => Object.keys(store.stored(sid) ?? {}))
    expect(stored.filter((name) => name !== 'cookie')).toEqual(['second'])
  })
})

it('flush() rejects with what the store refuses meanwhile', async () => {
  expectWarning('NOT_STORABLE')
  const answered = deferred()
  const driver = refusing()
  const { write } = driver
  driver.write = async (...call) => {
    if (call[1].text.includes('refused')) await answered.promise
    return write.call(driver, ...call)
  }
  const app = await startApp({ store: new DriverStore(), shared: { driver, revalidate: false, retry: ONCE } })
  const { session } = await tab(app, app.browser())
  session.note = 'refused'
  const flushed = failure(app.shared.flush())
  answered.resolve()
  const { code, cause } = await flushed
  expect([code, (cause as AggregateError).errors]).toMatchObject(['SAVE_FAILED', [{ code: 'NOT_STORABLE' }]])
  await app.shared.flush()
})
