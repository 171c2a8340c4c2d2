import { afterEach, describe, expect, it, vi } from 'vitest'
import { closeApps } from '../support/app.js'
import { collect, failure, type Live, live, turns } from '../support/live.js'
import { next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

const codes = (errors: { code: string }[]): string[] => errors.map(({ code }) => code)

describe('a session that cannot be saved', () => {
  const LIMIT = 1000
  const message = 'x'.repeat(200)
  const lengthOf = (session: object): number => JSON.stringify(session).length

  /** Each event of the client appends to the session. */
  async function append(times: number, { client, socket, session }: Live): Promise<void> {
    let handled = 0
    socket.on('append', (text: string) => {
      session.list.push(text)
      handled++
    })
    for (let i = 0; i < times; i++) {
      client.emit('append', message)
      await until(() => handled > i)
      await turns()
    }
    socket.removeAllListeners('append')
  }

  it('because its JSON would be longer than a text can be is one that failed, and the next one succeeds', async () => {
    expectWarning('SAVE_FAILED')
    const { app, store, session, sid } = await live()
    const { stringify } = JSON
    const spy = vi.spyOn(JSON, 'stringify').mockImplementation((...args: Parameters<typeof stringify>) => {
      const text = stringify(...args)
      if (text?.includes('"huge"')) throw new RangeError('Invalid string length')
      return text
    })
    session.huge = true
    expect(await failure(app.shared.flush())).toMatchObject({ code: 'SAVE_FAILED' })
    spy.mockRestore()
    delete session.huge
    session.a = 1
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ a: 1 })
  })

  it('because it is too large grows to twice maxBytes and no further, whatever its client sends', async () => {
    const opened = await live({ shared: { maxBytes: LIMIT } })
    const { app, store, socket, session, sid } = opened
    const errors = collect(socket, 'session:error')
    session.list = []
    session.text = ''
    session.raw = []
    await app.shared.flush()
    await append(30, opened)
    expect(lengthOf(session)).toBeGreaterThan(LIMIT)
    expect(lengthOf(session)).toBeLessThan(2 * LIMIT + message.length)
    const calls = store.count('get') + store.count('set')
    await append(10, opened)
    expect(store.count('get') + store.count('set')).toBe(calls)
    session.text = message.repeat(5)
    session.list.splice(0, 1, message, message, message)
    session.user = { message: message.repeat(5) }
    await turns()
    expect(lengthOf(session)).toBeLessThan(2 * LIMIT + message.length)
    expect(session.text).toBe('')
    expect(new Set(codes(errors))).toEqual(new Set(['TOO_LARGE']))
    expect(errors.at(-1)!.message).toContain('The write was not made.')
    // What makes it smaller is made, and makes room at once.
    session.list = session.list.slice(-1)
    session.list.push('fits')
    await app.shared.flush()
    expect(store.stored(sid)!.list).toEqual([message, 'fits'])
    session.text = 'y'.repeat(300)
    await app.shared.flush()
    expect(store.stored(sid)!.text).toBe(session.text)
  })

  describe.each<[what: string, write: (session: Live['session'], i: number) => void]>([
    ['keys with a boolean', ({ seen }, i) => (seen[`${'k'.repeat(50)}${i}`] = true)],
    ['keys with a number', ({ seen }, i) => (seen[`${'k'.repeat(50)}${i}`] = 1)],
    ['keys with an empty object', ({ seen }, i) => (seen[`${'k'.repeat(50)}${i}`] = {})],
    ['keys of its own', (session, i) => (session[`${'k'.repeat(50)}${i}`] = 1)],
    ['elements of one digit', ({ list }) => list.push(1)],
    ['elements that are set', ({ list }) => (list[list.length] = 1)],
    ['elements with empty places before them', ({ list }) => (list[list.length + 100] = 1)],
    ['empty places', ({ list }) => (list.length += 100)],
    ['a fill', ({ list }, i) => list.fill('x'.repeat(100 * i))],
    ['a splice that says to remove less than nothing', ({ list }) => list.splice(0, -1, message)],
  ])('because it is too large', (what, write) => {
    it(`grows no further by ${what}`, async () => {
      const { app, client, socket, session } = await live({ shared: { maxBytes: LIMIT } })
      session.seen = {}
      session.list = [message, message]
      await app.shared.flush()
      const told = next(app.shared.events, 'session:error')
      session.text = 'x'.repeat(LIMIT)
      await told
      const errors = collect(app.shared.events, 'session:error')
      let handled = 0
      socket.on('write', () => {
        for (let i = 0; i < 1000; i++) write(session, i)
        handled++
      })
      client.emit('write')
      await until(() => handled > 0)
      expect(lengthOf(session)).toBeLessThan(2 * LIMIT + message.length)
      expect(new Set(codes(errors))).toEqual(new Set(['TOO_LARGE']))
    })
  })

  it('is measured again when something was removed, and not for each write that is refused', async () => {
    const { app, client, socket, browser, session, sid, store } = await live({ shared: { maxBytes: LIMIT } })
    await browser.get(`/set?old=${message}`)
    session.count = 0
    session.list = [message]
    await app.shared.flush()
    const told = next(app.shared.events, 'session:error')
    session.text = 'x'.repeat(1540)
    await told
    const errors = collect(app.shared.events, 'session:error')
    const stringify = vi.spyOn(JSON, 'stringify')
    const measured = new Promise<number>((resolve) => {
      socket.on('append', (items: string[]) => {
        for (const item of items) {
          session.count = (session.count + 1) % 10
          session.list.push(item)
        }
        resolve(stringify.mock.calls.filter(([value]) => value?.text === session.text).length)
      })
    })
    client.emit('append', Array(100).fill(message))
    expect(await measured).toBe(0)
    stringify.mockRestore()
    expect(errors).toHaveLength(100)
    session.list.pop()
    session.list.push(message)
    session.list.push(message)
    expect(session.list).toEqual([message])
    session.list.fill('short')
    session.list.push('fits')
    session.list.push(message)
    expect(session.list).toEqual(['short', 'fits'])
    await browser.get('/set?old=')
    session.list.push(message)
    expect(session.list).toEqual(['short', 'fits', message])
    session.text = ''
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ old: '', text: '', list: ['short', 'fits', message] })
  })

  it('because it is too large grows no further by an array that a handler has kept', async () => {
    const { app, session } = await live({ shared: { maxBytes: LIMIT } })
    const errors = collect(app.shared.events, 'session:error')
    const list: string[] = []
    session.list = list
    await app.shared.flush()
    for (let i = 0; i < 30; i++) {
      list.push(message)
      session.n = i
      await turns()
    }
    expect(lengthOf(session)).toBeLessThan(2 * LIMIT + message.length)
    expect(new Set(codes(errors))).toEqual(new Set(['TOO_LARGE']))
  })

  it('because the store is down grows no further either, and is saved when it is back', async () => {
    const opened = await live({ shared: { maxBytes: LIMIT } })
    const { app, store, session, sid } = opened
    session.list = []
    await app.shared.flush()
    const errors = collect(app.shared.events, 'session:error')
    store.down()
    session.list.push('first')
    await until(() => errors.length > 0)
    await append(30, opened)
    expect(lengthOf(session)).toBeLessThan(2 * LIMIT + message.length)
    expect(new Set(codes(errors))).toEqual(new Set(['SAVE_FAILED', 'TOO_LARGE']))
    store.up()
    session.list.length = 2
    await app.shared.flush()
    expect(store.stored(sid)!.list).toEqual(['first', message])
  })

  it('can be written to again when a request has removed what made it too large', async () => {
    const { app, store, browser, session, sid } = await live({ shared: { maxBytes: LIMIT } })
    await browser.get(`/set?big=${'x'.repeat(900)}`)
    const told = next(app.shared.events, 'session:error')
    session.more = 'x'.repeat(1000)
    await told
    await browser.get('/set?big=')
    session.more2 = 'y'.repeat(200)
    delete session.more
    await app.shared.flush()
    expect(store.stored(sid)).toMatchObject({ big: '', more2: 'y'.repeat(200) })
  })
})
