import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { closeApps } from '../support/app.js'
import { failure, live, QUICK, tab, turns } from '../support/live.js'
import { deferred, next } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

/** Whether a promise has settled, asked when all else has come to rest. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  let done = false
  promise.then(
    () => (done = true),
    () => (done = true),
  )
  await turns()
  return done
}

describe('flush()', () => {
  it('resolves when everything that was written before is saved', async () => {
    const { app, store, session, sid } = await live()
    const set = store.hold('set')
    session.a = 1
    await set.called
    session.b = 2
    const flushed = app.shared.flush()
    expect(await settled(flushed)).toBe(false)
    set.release()
    await flushed
    expect(store.stored(sid)).toMatchObject({ a: 1, b: 2 })
  })

  it('resolves at once where nothing is unsaved, and before the store is known', async () => {
    const { app, store } = await live()
    const calls = store.calls.length
    await app.shared.flush()
    expect(store.calls.length).toBe(calls)
  })

  it('waits for the save of a request whose response has left', async () => {
    const { app, store, browser, sid } = await live()
    const set = store.hold('set')
    const answered = browser.get('/set?a=1')
    await set.called
    const flushed = app.shared.flush()
    expect(await settled(flushed)).toBe(false)
    set.release()
    await flushed
    expect(store.stored(sid)).toMatchObject({ a: '1' })
    await answered
  })

  it('waits for what listeners of session:saved write', async () => {
    const { app, store, browser, session, sid } = await live()
    const other = await tab(app, browser)
    other.socket.on('session:changed', ({ keys }) => {
      if (keys.includes('question')) other.session.answer = 42
    })
    session.question = 1
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ answer: 42 })
  })

  it('resolves although a listener writes again at every save', async () => {
    const { app, store, session, sid } = await live()
    let writing = true
    const write = (): void => {
      session.n = (session.n ?? 0) + 1
      if (writing) setImmediate(write)
    }
    write()
    await app.shared.flush()
    expect(store.stored(sid)!.n).toBeGreaterThan(0)
    writing = false
    await turns()
    await app.shared.flush()
    expect(store.stored(sid)!.n).toBe(session.n)
  })

  it('waits for a save that is being tried again', async () => {
    const { app, store, session, sid } = await live()
    store.fail('set')
    store.fail('get')
    session.a = 1
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ a: 1 })
  })

  it('rejects with what could not be saved, without ids, and saves it at the next call', async () => {
    expectWarning('SAVE_FAILED')
    const { app, store, browser, session, sid } = await live()
    await tab(app, browser)
    const cause = new Error('the disk is full')
    store.down(cause)
    session.a = 1
    const error = await failure(app.shared.flush())
    expect(error).toMatchObject({ code: 'SAVE_FAILED', message: expect.stringContaining('1 session') })
    expect(error.cause).toBeInstanceOf(AggregateError)
    expect((error.cause as AggregateError).errors).toMatchObject([{ code: 'SAVE_FAILED', cause }])
    expect(error.message + error.stack + JSON.stringify(error)).not.toContain(sid)
    store.up()
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ a: 1 })
  })

  it('does not reject for sessions that were saved meanwhile or have ended', async () => {
    const { app, store, session, sid } = await live({ shared: { onEnd: 'keep' } })
    store.down()
    session.a = 1
    await next(app.shared.events, 'session:error')
    store.up()
    session.b = 2
    await next(app.shared.events, 'session:saved')
    await app.shared.flush()
    store.down()
    session.c = 3
    await next(app.shared.events, 'session:error')
    store.up()
    await app.shared.destroy(sid)
    await app.shared.flush()
  })

  it('rejects with OUTCOME_UNKNOWN as a cause where the store never answers a write', async () => {
    expectWarning('OUTCOME_UNKNOWN')
    const { app, store, session, sid } = await live({ shared: { retry: { ...QUICK, attempts: 1, timeout: 30 } } })
    const set = store.hold('set', { sid })
    session.a = 1
    const error = await failure(app.shared.flush())
    expect((error.cause as AggregateError).errors).toMatchObject([{ code: 'OUTCOME_UNKNOWN' }])
    set.release()
    await next(app.shared.events, 'session:saved')
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ a: 1 })
  })
})

describe('close()', () => {
  it('saves what is pending, releases the sockets and the store, and is idempotent', async () => {
    const { app, store, session, socket, sid } = await live()
    session.a = 1
    const closed = app.shared.close()
    expect(app.shared.close()).toBe(closed)
    await closed
    expect(store.stored(sid)).toMatchObject({ a: 1 })
    expect(Object.keys(Object.getOwnPropertyDescriptors(store))).not.toContain('set')
    expect(() => app.shared.session(socket)).toThrow(expect.objectContaining({ code: 'CLOSED' }))
  })

  it('tries once more what could not be saved before', async () => {
    const { app, store, session, sid } = await live()
    store.down()
    session.a = 1
    await next(app.shared.events, 'session:error')
    store.up()
    expect(store.stored(sid)).not.toHaveProperty('a')
    await app.shared.close()
    expect(store.stored(sid)).toMatchObject({ a: 1 })
  })

  it('rejects with what could still not be saved, and releases the store all the same', async () => {
    expectWarning('SAVE_FAILED')
    const { app, store, session, socket } = await live()
    store.down()
    session.a = 1
    await next(app.shared.events, 'session:error')
    const attempts = store.count('get')
    expect((await failure(app.shared.close())).code).toBe('SAVE_FAILED')
    expect(store.count('get')).toBeGreaterThan(attempts)
    expect(() => app.shared.session(socket)).toThrow()
    store.up()
  })

  it('a handshake after it is refused with CLOSED', async () => {
    const { app, browser } = await live()
    await app.shared.close()
    expect(await failure(browser.connect())).toMatchObject({ data: { code: 'CLOSED' } })
  })

  it('a socket may disconnect while it flushes', async () => {
    const { app, store, client, socket, session, sid } = await live()
    const set = store.hold('set')
    session.a = 1
    await set.called
    const closed = app.shared.close()
    const gone = deferred()
    socket.on('disconnect', () => gone.resolve())
    client.disconnect()
    await gone.promise
    set.release()
    await closed
    expect(store.stored(sid)).toMatchObject({ a: 1 })
  })

  it('an otherwise idle process does not exit before flush() ends, and exits after close()', async () => {
    const script = fileURLToPath(new URL('../support/flush-process.ts', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', script])
    expect(stdout).toBe('flushed 1\nclosed 2\n')
  })
})
