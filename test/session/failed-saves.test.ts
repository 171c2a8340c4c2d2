import { format } from 'node:util'
import createDebug from 'debug'
import { afterEach, describe, expect, it } from 'vitest'
import { closeApps } from '../support/app.js'
import { collect, failure, live, QUICK, tab, turns } from '../support/live.js'
import { next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

/** So short that a test can wait for it; what the tests release, they release after it is over. */
const IMPATIENT = { ...QUICK, timeout: 30 }

const codes = (errors: { code: string }[]): string[] => errors.map(({ code }) => code)

describe('a failed save', () => {
  it('is tried again, as often as the option retry says', async () => {
    const { app, store, session, sid } = await live()
    const errors = collect(app.shared.events, 'session:error')
    const sets = store.count('set')
    store.fail('set')
    store.fail('set')
    session.a = 1
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ a: 1 })
    expect(store.count('set') - sets).toBe(3)
    expect(errors).toEqual([])
    expect(app.shared.stats().retries).toBe(2)
  })

  it('is tried again when the store throws, or fails to read', async () => {
    const { app, store, session, sid } = await live()
    store.throw('set')
    store.fail('get')
    session.a = 1
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ a: 1 })
  })

  it('ends in SAVE_FAILED with its cause, on the sockets that wrote and on shared.events, once', async () => {
    const { app, store, browser, socket, session, sid } = await live()
    const other = await tab(app, browser)
    const bystander = await tab(app, browser)
    const heard = [socket, other.socket, bystander.socket, app.shared.events].map((emitter) => collect(emitter, 'session:error'))
    const cause = new Error('the disk is full')
    store.down(cause)
    session.a = 1
    other.session.b = 2
    await next(app.shared.events, 'session:error')
    await turns()
    expect(heard.map(codes)).toEqual([['SAVE_FAILED'], ['SAVE_FAILED'], [], ['SAVE_FAILED']])
    const error = heard[3]![0]!
    expect(error.cause).toBe(cause)
    expect(error.sessionID).toBe(sid)
    expect(JSON.stringify(error) + error.message + error.stack).not.toContain(sid)
    store.up()
  })

  it('keeps the changes: the next write saves all of them', async () => {
    const { app, store, session, sid } = await live()
    store.down()
    session.list = [1]
    await next(app.shared.events, 'session:error')
    expect(session.list).toEqual([1])
    store.up()
    session.list.push(2)
    await app.shared.flush()
    expect(store.stored(sid)!.list).toEqual([1, 2])
  })

  it('save() rejects with it, and the next save() saves', async () => {
    expectWarning('SAVE_FAILED')
    const { store, session, sid } = await live({ shared: { autoSave: false } })
    store.down()
    session.a = 1
    expect(await failure(session.save())).toMatchObject({ code: 'SAVE_FAILED', cause: expect.any(Error) })
    store.up()
    await session.save()
    expect(store.stored(sid)).toMatchObject({ a: 1 })
  })

  it('that had reached the store, although the store reported an error, is not repeated', async () => {
    const { app, store, session, sid } = await live()
    session.list = []
    await app.shared.flush()
    const set = store.hold('set', { afterwards: true })
    session.list.push('once')
    await set.called
    session.list.push('twice')
    set.fail()
    await app.shared.flush()
    expect(store.stored(sid)!.list).toEqual(['once', 'twice'])
  })

  it('changes that were written during the last attempt are tried again', async () => {
    const { app, store, session, sid } = await live({ shared: { retry: { ...QUICK, attempts: 1 } } })
    const errors = collect(app.shared.events, 'session:error')
    const set = store.hold('set')
    session.a = 1
    await set.called
    session.b = 2
    set.fail()
    await until(() => store.stored(sid)?.b)
    expect(store.stored(sid)).toMatchObject({ a: 1, b: 2 })
    expect(codes(errors)).toEqual(['SAVE_FAILED'])
  })

  it('what another process wrote to the same key meanwhile is not overwritten by the next attempt', async () => {
    const { app, store, browser, session, sid } = await live()
    const set = store.hold('set')
    session.list = [1]
    await set.called
    const answered = browser.get('/set?theme=dark')
    set.fail()
    await answered
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ list: [1], theme: 'dark' })
  })

  it('a session that ends between two attempts is not written, and no failure is reported', async () => {
    const { app, store, session, sid } = await live()
    const errors = collect(app.shared.events, 'session:error')
    const set = store.hold('set')
    session.a = 1
    const saved = failure(session.save())
    await set.called
    const destroyed = app.shared.destroy(sid)
    set.fail()
    await destroyed
    expect((await saved).code).toBe('SESSION_ENDED')
    await app.shared.flush()
    expect(store.stored(sid)).toBeUndefined()
    expect(errors).toEqual([])
  })
})

describe('session:error', () => {
  it('and debug output contain no session ids', async () => {
    const lines: string[] = []
    const { log } = createDebug
    createDebug.log = (...args: unknown[]) => lines.push(format(...args))
    createDebug.enable('sharedsession')
    const { app, store, browser, socket, session, sid } = await live({ shared: { retry: { ...QUICK, attempts: 1 } } })
    const errors = collect(socket, 'session:error')
    store.fail('set')
    session.a = 1
    await until(() => errors.length > 0)
    const held = store.hold('set')
    const answered = browser.get('/set?b=1')
    await held.called
    store.gone(sid)
    held.fail()
    await answered
    await app.shared.destroy(sid)
    errors.push(await failure(session.save()), await failure(app.shared.update(sid, () => undefined)))
    createDebug.disable()
    createDebug.log = log
    expect(codes(errors)).toEqual(['SAVE_FAILED', 'SESSION_ENDED', 'SESSION_ENDED', 'SESSION_NOT_FOUND'])
    expect(lines.join()).toContain('SAVE_FAILED')
    expect(lines.join() + errors.map((error) => error.stack + format(error))).not.toContain(sid)
  })

  it('without a listener warns once and throws nothing, also after the last socket has gone', async () => {
    const warnings = expectWarning('SharedSessionWarning: TOO_LARGE')
    const { client, socket, session } = await live({ shared: { autoSave: false, maxBytes: 100 } })
    const gone = next(socket, 'disconnect')
    client.disconnect()
    await gone
    for (const n of [1, 2]) {
      session.big = 'x'.repeat(100 + n)
      expect(await failure(session.save())).toMatchObject({
        code: 'TOO_LARGE',
        message: expect.stringContaining('Its largest key is big, with '),
      })
    }
    delete session.big
    await turns()
    expect(warnings).toEqual([expect.stringContaining('session:error')])
  })

  it('names keys, which clients may have chosen, at no more length than helps', async () => {
    const { socket, session } = await live({ shared: { autoSave: false, maxBytes: 5000 } })
    const errors = collect(socket, 'session:error')
    session['a'.repeat(1000)] = { ['b'.repeat(1000)]: { 'first name': 1n } }
    session['c'.repeat(1000)] = 'x'.repeat(5000)
    await failure(session.save())
    expect(codes(errors)).toEqual(['NOT_STORABLE', 'TOO_LARGE'])
    const key = (letter: string) => `["${letter.repeat(50)}..."]`
    expect(errors[0].message).toMatch(`${key('a')}${key('b')}["first name"]: a BigInt`)
    expect(errors[1].message).toMatch(`largest key is ${key('c')}, with `)
    await session.reload()
  })

  it('a listener that writes at each failure does not loop for ever', async () => {
    const { app, socket, session } = await live({ shared: { maxBytes: 500 } })
    const errors = collect(app.shared.events, 'session:error')
    socket.on('session:error', () => {
      session.failures = (session.failures ?? 0) + 1
    })
    session.big = 'x'.repeat(1000)
    await until(() => errors.length > 3)
    let seen = -1
    await until(async () => {
      const settled = seen === errors.length
      seen = errors.length
      await turns(50)
      return settled
    })
    expect(errors.length).toBeLessThan(20)
    delete session.big
    await app.shared.flush()
  })
})

describe('a write that the store does not answer', () => {
  it('ends in OUTCOME_UNKNOWN, and nothing else of the session is written until the store answers', async () => {
    const { app, store, socket, session, sid } = await live({ shared: { retry: IMPATIENT } })
    const told = next(socket, 'session:error')
    const set = store.hold('set', { sid })
    session.list = [1]
    expect(await told).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    const sets = store.count('set')
    session.list.push(2)
    expect(await next(socket, 'session:error')).toMatchObject({ code: 'SAVE_FAILED', cause: { code: 'STORE_TIMEOUT' } })
    expect(store.count('set')).toBe(sets)
    set.release()
    await until(() => store.stored(sid)?.list?.length === 2)
    await app.shared.flush()
    expect(store.stored(sid)!.list).toEqual([1, 2])
  })

  it('and whose late answer is a success: nothing is applied twice', async () => {
    const { app, store, socket, session, sid } = await live({ shared: { retry: IMPATIENT } })
    const told = next(socket, 'session:error')
    const set = store.hold('set', { sid, afterwards: true })
    session.list = ['once']
    await told
    const sets = store.count('set')
    set.release()
    await next(app.shared.events, 'session:saved')
    await app.shared.flush()
    expect(store.stored(sid)!.list).toEqual(['once'])
    expect(store.count('set')).toBe(sets)
    session.list.push('twice')
    await app.shared.flush()
    expect(store.stored(sid)!.list).toEqual(['once', 'twice'])
  })

  it('and whose late answer is a failure: it is saved then, once', async () => {
    const { app, store, socket, session, sid } = await live({ shared: { retry: IMPATIENT } })
    const told = next(socket, 'session:error')
    const set = store.hold('set', { sid })
    session.list = ['once']
    await told
    set.fail()
    await until(() => store.stored(sid)?.list)
    await app.shared.flush()
    expect(store.stored(sid)!.list).toEqual(['once'])
  })

  it('and whose late answer is an error although it had happened: nothing is applied twice', async () => {
    const { app, store, socket, session, sid } = await live({ shared: { retry: IMPATIENT } })
    const told = next(socket, 'session:error')
    const set = store.hold('set', { sid, afterwards: true })
    session.list = ['once']
    session.list.push('once more')
    await told
    const sets = store.count('set')
    set.fail()
    await next(app.shared.events, 'session:saved')
    session.list.push('twice')
    await app.shared.flush()
    expect(store.stored(sid)!.list).toEqual(['once', 'once more', 'twice'])
    expect(store.count('set') - sets).toBe(1)
  })

  it('save() meanwhile does not resolve as if it were saved', async () => {
    expectWarning('OUTCOME_UNKNOWN')
    expectWarning('SAVE_FAILED')
    const { store, session, sid } = await live({ shared: { autoSave: false, retry: IMPATIENT } })
    const set = store.hold('set', { sid })
    session.a = 1
    expect((await failure(session.save())).code).toBe('OUTCOME_UNKNOWN')
    expect((await failure(session.save())).code).toBe('SAVE_FAILED')
    set.release()
    await session.save()
    expect(store.stored(sid)).toMatchObject({ a: 1 })
  })

  it('a change that is made and undone meanwhile does not lose the write in flight when that fails', async () => {
    const { app, store, socket, session, sid } = await live({ shared: { retry: IMPATIENT } })
    const told = next(socket, 'session:error')
    const set = store.hold('set', { sid })
    session.a = 1
    await told
    session.b = 1
    delete session.b
    await turns()
    set.fail()
    await until(() => store.stored(sid)?.a)
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ a: 1 })
  })

  it('and that it answers after the end of the session: the session stays ended', async () => {
    const { app, store, socket, session, sid } = await live({ shared: { retry: IMPATIENT } })
    const told = next(socket, 'session:error')
    const saved = collect(app.shared.events, 'session:saved')
    const set = store.hold('set', { sid })
    session.a = 1
    await told
    await app.shared.destroy(sid)
    set.release()
    await until(() => store.stored(sid) === undefined && store.count('destroy') > 1)
    await app.shared.flush()
    expect(store.stored(sid)).toBeUndefined()
    expect(saved).toEqual([])
  })
})
