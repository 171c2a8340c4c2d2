import expressSession from 'express-session'
import { afterEach, expect, it, vi } from 'vitest'
import type { StoreDriver } from '../../src/store/drivers/store-driver.js'
import { sample } from '../driver-testing/sample.js'
import { CookieBrowser, closePages } from '../support/browser.js'
import { DriverStore } from '../support/driver-store.js'
import { letIn } from '../support/handshake.js'
import { collect, turns } from '../support/live.js'
import { deferred, next, until } from '../support/wait.js'
import { closeSites, type Site, startSite } from './site.js'

afterEach(async () => {
  closePages()
  await closeSites()
})

/** It hears nothing of other nodes. */
function startNode(driver: StoreDriver): Promise<Site> {
  return startSite({ store: new DriverStore(), shared: { driver, bus: false, revalidate: false, touch: false } })
}

it.each([
  ['a write', (session: any) => Object.assign(session, { note: 1 }).save()],
  ['a read', (session: any) => session.reload()],
])('a tab reconnects when %s shows that another node has moved its session, and no message has', async (_what, use) => {
  const driver = sample()
  const [one, two] = [await startNode(driver), await startNode(driver)]
  const browser = new CookieBrowser()
  const tab = await letIn(browser.open(one.url, { transports: ['websocket'] }))
  await tab.emitWithAck('add', 'x')
  // As of a request that was sent before the handshake was answered.
  const early = new CookieBrowser()
  await early.fetch(`${two.url}/add?item=a`, { method: 'POST' })
  browser.cookie = `${early.cookie}; ${browser.cookie}`
  expect(await browser.json(`${two.url}/session`)).toMatchObject({ http: ['a'], socket: ['x'] })
  const { session } = one.sockets[0]!.handshake as any
  const ended = next(one.sockets[0]!, 'session:destroyed')
  use(session).catch(() => undefined)
  expect(await ended).toEqual({ reason: 'regenerated' })
  await until(() => one.sockets.length > 1)
  expect(await (await letIn(tab)).emitWithAck('get')).toMatchObject({ http: ['a'], socket: ['x'] })
})

/** It cannot compare. The answer to the first mark of a move is lost, and the read that follows fails. */
class LosingStore extends expressSession.MemoryStore {
  lost: string | undefined
  #failing: string | undefined

  override set(sid: string, session: expressSession.SessionData, callback?: (error?: unknown) => void) {
    const isFirstMark = this.lost === undefined && JSON.stringify(session).includes('"movedTo"')
    if (isFirstMark) this.lost = this.#failing = sid
    super.set(sid, session, (error) => callback?.(isFirstMark ? new Error('the connection was lost') : error))
  }

  override get(sid: string, callback: (error: unknown, session?: expressSession.SessionData | null) => void) {
    if (this.#failing !== sid) return super.get(sid, callback)
    this.#failing = undefined
    setImmediate(callback, new Error('the connection was lost'))
  }
}

it('a move whose mark got no answer is made by the next request, with what the session had', async () => {
  const store = new LosingStore()
  const site = await startSite({ store, shared: { revalidate: false, touch: false } })
  const browser = new CookieBrowser()
  const tab = await letIn(browser.open(site.url, { transports: ['websocket'] }))
  await tab.emitWithAck('add', 'x')
  tab.disconnect()
  const early = new CookieBrowser()
  await early.fetch(`${site.url}/add?item=a`, { method: 'POST' })
  browser.cookie = `${early.cookie}; ${browser.cookie}`
  const { cookie } = browser
  expect(await browser.json(`${site.url}/session`)).not.toHaveProperty('socket')
  expect(store.lost).toBeDefined()
  browser.cookie = cookie
  expect(await browser.json(`${site.url}/session`)).toMatchObject({ http: ['a'], socket: ['x'] })
})

/** Two nodes that hear nothing of each other, and a browser with three sessions: that of its tab, and one of a request to each node. */
async function threeSessions(driver = sample(), second = driver) {
  const [one, two] = [await startNode(driver), await startNode(second)]
  const tab = new CookieBrowser()
  const socket = await letIn(tab.open(one.url, { transports: ['websocket'] }))
  await socket.emitWithAck('add', 'x')
  socket.disconnect()
  const cookieOf = async ({ url }: Site): Promise<string> => {
    const browser = new CookieBrowser()
    await browser.fetch(`${url}/add?item=${url}`, { method: 'POST' })
    return browser.cookie ?? ''
  }
  const [first, other] = [await cookieOf(one), await cookieOf(two)]
  /** What a request shows of the session whose cookie comes first. */
  const show = async ({ url }: Site, ...cookies: string[]): Promise<{ http: string[]; socket?: string[] }> => {
    const browser = new CookieBrowser()
    browser.cookie = cookies.join('; ')
    return (await browser.json(`${url}/session`)) as { http: string[]; socket?: string[] }
  }
  return { one, two, tab: tab.cookie ?? '', first, other, show }
}

it('a session that one node has moved is not moved to another session by the next one', async () => {
  const { one, two, tab, first, other, show } = await threeSessions()
  expect(await show(one, first, tab)).toMatchObject({ socket: ['x'] })
  expect(await show(two, other, tab)).not.toHaveProperty('socket')
  expect(await show(two, first)).toMatchObject({ socket: ['x'] })
})

it('a session that one node has joined to another is not joined again when that other one has forgotten it', async () => {
  const { one, two, tab, first, show } = await threeSessions()
  expect(await show(one, first, tab)).toMatchObject({ socket: ['x'] })
  for (let item = 0; item < 9; item++) await new CookieBrowser(first).fetch(`${one.url}/add?item=${item}`, { method: 'POST' })
  expect((await show(two, first, tab)).socket).toEqual(['x'])
})

it('a session that a node has joined is not joined again by that node, also where the store does not let it be emptied', async () => {
  const driver = sample()
  const { write } = driver
  let marks = 0
  driver.write = async (sid, next, ...rest) => {
    if (next.text.includes('"movedTo"') && ++marks > 1) throw new Error('down')
    return write.call(driver, sid, next, ...rest)
  }
  const { one, tab, first, show } = await threeSessions(driver)
  expect(await show(one, first, tab)).toMatchObject({ socket: ['x'] })
  await until(() => marks > 1)
  for (let item = 0; item < 9; item++) await new CookieBrowser(first).fetch(`${one.url}/add?item=${item}`, { method: 'POST' })
  expect((await show(one, first, tab)).socket).toEqual(['x'])
})

it('the next node joins what was marked as moved and not joined', async () => {
  const driver = sample()
  const { write } = driver
  const { one, two, tab, first, other, show } = await threeSessions(driver)
  let isDown = false
  driver.write = async (sid, next, ...rest) => {
    if (isDown) throw new Error('down')
    const answer = await write.call(driver, sid, next, ...rest)
    isDown = next.text.includes('"movedTo"')
    return answer
  }
  expect(await show(one, first, tab)).not.toHaveProperty('socket')
  expect(isDown).toBe(true)
  driver.write = write
  expect(await show(two, other, tab)).not.toHaveProperty('socket')
  expect(await show(two, first)).toMatchObject({ socket: ['x'] })
})

it('a session that two nodes join at once keeps what its sockets wrote meanwhile', async () => {
  const driver = sample()
  const held = {
    read: undefined as ReturnType<typeof deferred<void>> | undefined,
    mark: deferred<void>(),
    isMarked: deferred<void>(),
  }
  const slow: StoreDriver = Object.assign(Object.create(driver), {
    async read(sid: string) {
      const [found, { read }] = [await driver.read(sid), held]
      held.read = undefined
      await read?.promise
      return found
    },
    async write(...call: Parameters<StoreDriver['write']>) {
      const answer = await driver.write(...call)
      if (call[1].text.includes('"movedTo"')) {
        held.isMarked.resolve()
        await held.mark.promise
      }
      return answer
    },
  })
  const { one, two, tab, first, show } = await threeSessions(slow, driver)
  const browser = new CookieBrowser()
  browser.cookie = first
  const socket = await letIn(browser.open(one.url, { transports: ['websocket'] }))
  const read = deferred<void>()
  held.read = read
  const early = show(one, first)
  await until(() => held.read === undefined)
  const joining = show(one, first, tab)
  await held.isMarked.promise
  await socket.emitWithAck('add', 'y')
  expect(await show(two, first, tab)).toMatchObject({ socket: ['y', 'x'] })
  read.resolve()
  await early
  held.mark.resolve()
  expect(await joining).toMatchObject({ socket: ['y', 'x'] })
  expect((await socket.emitWithAck('get')).socket).toContain('y')
})

it('two sessions that two nodes move to each other at once are not both gone', async () => {
  const driver = sample()
  const [sent, goOn] = [deferred<string>(), deferred<void>()]
  const slow: StoreDriver = Object.assign(Object.create(driver), {
    async write(...call: Parameters<StoreDriver['write']>) {
      if (call[1].text.includes('"movedTo"')) {
        sent.resolve(call[0])
        await goOn.promise
      }
      return driver.write(...call)
    },
  })
  const [one, two] = [await startNode(driver), await startNode(slow)]
  const cookies = await Promise.all(
    ['x', 'y'].map(async (item) => {
      const tab = new CookieBrowser()
      const socket = await letIn(tab.open(one.url, { transports: ['websocket'] }))
      await socket.emitWithAck('add', item)
      socket.disconnect()
      return tab.cookie ?? ''
    }),
  )
  const show = async ({ url }: Site, ...sent: string[]): Promise<{ socket?: string[] }> => {
    const browser = new CookieBrowser()
    browser.cookie = sent.join('; ')
    return (await browser.json(`${url}/session`)) as { socket?: string[] }
  }
  const early = show(two, ...cookies)
  const moved = await sent.promise
  const target = cookies.find((cookie) => !cookie.includes(moved)) ?? ''
  const value = cookies
    .find((cookie) => cookie.includes(moved))
    ?.split('=')[1]
    ?.replace('~', '')
  const both = expect.arrayContaining(['x', 'y'])
  expect((await show(one, `connect.sid=${value}`, target)).socket).toEqual(both)
  goOn.resolve()
  await early
  expect((await show(one, `connect.sid=${value}`)).socket).toEqual(both)
})

it('a session that was marked as moved to one that was moved to it is not removed by the process that finds them', async () => {
  let rows = new Map<string, { text: string }>()
  const driver = sample((all) => {
    rows = all
    return {}
  })
  const { one, two, tab, first, show } = await threeSessions(driver)
  const other = new CookieBrowser()
  const socket = await letIn(other.open(two.url, { transports: ['websocket'] }))
  await socket.emitWithAck('add', 'y')
  socket.disconnect()
  const [a, b] = [...rows.keys()].filter((sid) => [tab, other.cookie].some((cookie) => cookie?.includes(sid))) as [string, string]
  const mark = (sid: string, to: string): void => {
    const row = rows.get(sid) as { text: string }
    const { cookie, ...data } = JSON.parse(row.text)
    row.text = JSON.stringify({ cookie: { ...cookie, sharedsession: { ...cookie.sharedsession, movedTo: to } }, ...data })
  }
  // As two processes leave them that die before they have joined anything.
  mark(a, b)
  mark(b, a)
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  await show(one, first, tab)
  // Longer than a moved session is kept.
  await vi.advanceTimersByTimeAsync(60_000)
  vi.useRealTimers()
  await turns()
  expect([...rows.keys()]).toEqual(expect.arrayContaining([a, b]))
  expect((await show(two, tab)).socket).toEqual(['x'])
})

it('a session stays where it is if the one that it is moved to ends as soon as it is marked', async () => {
  let marks = 0
  const driver = sample((rows, { write }) => {
    return {
      async write(sid, next, ...rest) {
        const answer = await write(sid, next, ...rest)
        const target = /"movedTo":"(.*?)"/.exec(next.text)?.[1]
        // As by a logout on another node.
        if (target && ++marks === 1) rows.delete(target)
        return answer
      },
    }
  })
  const { one, two, tab, first, other, show } = await threeSessions(driver)
  expect(await show(one, first, tab)).not.toHaveProperty('http')
  expect(marks).toBe(1)
  expect(await show(one, tab)).toMatchObject({ socket: ['x'] })
  expect(await show(two, other, tab)).toMatchObject({ http: [two.url], socket: ['x'] })
})

/** It cannot compare. */
class SlowStore extends expressSession.MemoryStore {
  /** Holds the answer to the next read of that session. */
  held: { sid: string; called: ReturnType<typeof deferred<void>>; release: ReturnType<typeof deferred<void>> } | undefined
  /** The answer to the next write of that session is lost, and so are those to the reads which follow: to one, and to all until the held one is released. */
  losing: string | undefined
  isReleased = false
  #failing: string | undefined

  override set(sid: string, session: expressSession.SessionData, callback?: (error?: unknown) => void) {
    const isLost = this.losing === sid
    if (isLost) {
      this.losing = undefined
      this.#failing = sid
    }
    super.set(sid, session, (error) => callback?.(isLost ? new Error('the connection was lost') : error))
  }

  override get(sid: string, callback: (error: unknown, session?: expressSession.SessionData | null) => void) {
    if (this.#failing === sid) {
      if (this.isReleased) this.#failing = undefined
      setImmediate(callback, new Error('the connection was lost'))
      return
    }
    const { held } = this
    if (held?.sid !== sid) return super.get(sid, callback)
    this.held = undefined
    held.called.resolve()
    super.get(sid, (...answer) => void held.release.promise.then(() => callback(...answer)))
  }
}

it('a move that looks for its target reads nothing while a write to the target is under way', async () => {
  const store = new SlowStore()
  const site = await startSite({ store, shared: { revalidate: false, touch: false, retry: { attempts: 1 } } })
  const other = new CookieBrowser()
  const left = await letIn(other.open(site.url, { transports: ['websocket'] }))
  await left.emitWithAck('add', 'x')
  left.disconnect()
  const browser = new CookieBrowser()
  await browser.fetch(`${site.url}/add?item=a`, { method: 'POST' })
  const tab = await letIn(browser.open(site.url, { transports: ['websocket'] }))
  await tab.emitWithAck('add', 'first')
  const { session, sessionID: sid } = site.sockets.at(-1)!.handshake as any
  const held = { sid, called: deferred<void>(), release: deferred<void>() }
  store.held = held
  browser.cookie = `${browser.cookie}; ${other.cookie}`
  const answered = browser.json(`${site.url}/session`)
  await held.called.promise
  store.losing = sid
  const failed = next(site.sockets.at(-1)!, 'session:error')
  session.socket.push('y')
  await turns(50)
  store.isReleased = true
  held.release.resolve()
  expect(await failed).toMatchObject({ code: 'SAVE_FAILED' })
  await answered
  await site.shared.flush()
  expect((await browser.json(`${site.url}/session`)).socket.sort()).toEqual(['first', 'x', 'y'])
  expect(store.losing).toBeUndefined()
})

it('a session that would become larger than maxBytes by being joined to another one is dropped, and that is reported', async () => {
  let rows = new Map<string, { text: string }>()
  const driver = sample((all) => {
    rows = all
    return {}
  })
  const site = await startSite({ store: new DriverStore(), shared: { driver, maxBytes: 1000, revalidate: false, touch: false } })
  const browser = new CookieBrowser()
  await browser.fetch(`${site.url}/add?item=${'a'.repeat(700)}`, { method: 'POST' })
  const { cookie } = browser
  const errors = collect(site.shared.events, 'session:error')
  const join = async (item: string): Promise<any> => {
    const other = new CookieBrowser()
    const tab = await letIn(other.open(site.url, { transports: ['websocket'] }))
    await tab.emitWithAck('add', item)
    tab.disconnect()
    browser.cookie = `${cookie}; ${other.cookie}`
    const shown = await browser.json(`${site.url}/session`)
    expect(browser.cookie).toBe(cookie)
    return shown
  }
  expect(await join('x'.repeat(700))).not.toHaveProperty('socket')
  expect(errors).toMatchObject([{ code: 'TOO_LARGE' }])
  expect(errors[0].sessionID).toBe([...rows.keys()][0])
  expect(await join('small')).toMatchObject({ socket: ['small'] })
  expect(errors).toHaveLength(1)
})

it.each(['/add?item=late&slow', '/update'])(
  'a request (%s) goes on in the session that its own one was moved to, in two steps',
  async (path) => {
    const { one, tab, first, show } = await threeSessions()
    const other = new CookieBrowser()
    const socket = await letIn(other.open(one.url, { transports: ['websocket'] }))
    await socket.emitWithAck('add', 'y')
    socket.disconnect()
    const loaded = next(one.http, 'request')
    const answered = new CookieBrowser(tab).fetch(one.url + path, { method: 'POST' })
    await loaded
    const value = other.cookie?.split('=')[1]?.replace('~', '')
    expect((await show(one, `connect.sid=${value}`, tab)).socket).toEqual(['y', 'x'])
    expect((await show(one, first, other.cookie ?? '')).socket).toEqual(['y', 'x'])
    one.slow.resolve(undefined)
    expect((await answered).status).toBe(200)
    const shown = await show(one, first)
    if (path === '/update') expect(shown).toMatchObject({ socket: ['y', 'x'], updated: true })
    else expect(shown.http).toContain('late')
  },
)

it('a session that another node has joined is not brought back, empty, if the target has ended since', async () => {
  let moved: string | undefined
  const driver = sample((rows, { write }) => {
    return {
      async write(sid, next, ...rest) {
        const answer = await write(sid, next, ...rest)
        const { cookie } = JSON.parse(next.text)
        const target = cookie.sharedsession?.movedTo
        if (target === undefined || moved !== undefined) return answer
        // As by another node that goes on with the move, and then by a logout there.
        moved = sid
        rows.set(sid, { text: JSON.stringify({ cookie }), expires: Date.now() + 60_000 })
        rows.delete(target)
        return answer
      },
    }
  })
  const { one, tab, first, show } = await threeSessions(driver)
  await show(one, first, tab)
  expect(moved).toBeDefined()
  const found = await driver.read(moved as string)
  expect(found?.text ?? '"movedTo"').toContain('"movedTo"')
})

it('the data of a moved session is taken out of it also if the store refuses that at first', async () => {
  let refused: string | undefined
  const driver = sample((_rows, { write }) => {
    return {
      async write(sid, next, ...rest) {
        const { cookie, ...data } = JSON.parse(next.text)
        const isEmptied = cookie.sharedsession?.movedTo !== undefined && Object.keys(data).length === 0
        if (isEmptied && refused === undefined) {
          refused = sid
          throw new Error('busy')
        }
        return write(sid, next, ...rest)
      },
    }
  })
  const { one, tab, first, show } = await threeSessions(driver)
  expect(await show(one, first, tab)).toMatchObject({ socket: ['x'] })
  await until(() => refused !== undefined)
  await until(async () => {
    const found = await driver.read(refused as string)
    if (!found) throw new Error('The session was removed with its data.')
    return !found.text.includes('"socket"')
  })
})
