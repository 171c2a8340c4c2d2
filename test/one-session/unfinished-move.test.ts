import { afterEach, expect, it } from 'vitest'
import type { StoreDriver } from '../../src/store/drivers/store-driver.js'
import { type Rows, sample } from '../driver-testing/sample.js'
import { CookieBrowser, closePages } from '../support/browser.js'
import { ControlledStore } from '../support/controlled-store.js'
import { DriverStore } from '../support/driver-store.js'
import { letIn } from '../support/handshake.js'
import { deferred } from '../support/wait.js'
import { closeSites, type Site, startSite } from './site.js'

// A session is marked as moved, and its data is not joined to the other one yet. A handshake comes that was sent before its browser had that one’s cookie.

const SHARED = { revalidate: false, touch: false } as const

afterEach(async () => {
  closePages()
  await closeSites()
})

/** The cookies of the session of a browser's socket, which has written something, and of the session of its request. */
async function twoSessions({ url }: Site): Promise<{ socket: string; request: string }> {
  const [tab, page] = [new CookieBrowser(), new CookieBrowser()]
  const socket = await letIn(tab.open(url, { transports: ['websocket'] }))
  await socket.emitWithAck('add', 'x')
  socket.disconnect()
  await page.fetch(`${url}/add?item=a`, { method: 'POST' })
  return { socket: tab.cookie as string, request: page.cookie as string }
}

/** A tab connects with this cookie only. @returns the cookies that its browser has then */
async function connectWith(cookie: string, { url }: Site): Promise<string> {
  const browser = new CookieBrowser(cookie)
  await letIn(browser.open(url, { transports: ['websocket'] }))
  expect(browser.cookie).not.toBe(cookie)
  return browser.cookie as string
}

it('the next request joins a session that the store did not let be joined, also if a tab was given another one meanwhile', async () => {
  const store = new ControlledStore()
  const site = await startSite({ store, shared: SHARED })
  const { socket, request } = await twoSessions(site)
  const target = store.ids().find((sid) => store.stored(sid)?.http) as string
  const join = store.hold('set', { sid: target })
  const browser = new CookieBrowser(`${request}; ${socket}`)
  const early = browser.json(`${site.url}/session`)
  await join.called
  const cookies = await connectWith(socket, site)
  join.fail()
  expect(await early).not.toHaveProperty('socket')
  browser.cookie = `${request}; ${cookies}`
  expect(await browser.json(`${site.url}/session`)).toMatchObject({ http: ['a'], socket: ['x'] })
  expect(browser.cookie).toBe(request)
})

it('the same where the tab has come to another node', async () => {
  const driver = sample()
  const { write } = driver
  const startNode = (own: StoreDriver): Promise<Site> =>
    startSite({ store: new DriverStore(), shared: { ...SHARED, driver: own, bus: false } })
  const [one, two] = [await startNode(driver), await startNode(driver)]
  const { socket, request } = await twoSessions(one)
  let isDown = false
  driver.write = async (sid, next, ...rest) => {
    if (isDown) throw new Error('down')
    const answer = await write.call(driver, sid, next, ...rest)
    isDown = next.text.includes('"movedTo"')
    return answer
  }
  const browser = new CookieBrowser(`${request}; ${socket}`)
  expect(await browser.json(`${one.url}/session`)).not.toHaveProperty('socket')
  expect(isDown).toBe(true)
  driver.write = write
  browser.cookie = `${request}; ${await connectWith(socket, two)}`
  expect(await browser.json(`${two.url}/session`)).toMatchObject({ http: ['a'], socket: ['x'] })
  expect(browser.cookie).toBe(request)
})

/**
 * Two nodes that hear nothing of each other, and the cookies of two tabs, whose sessions are not joined. The writes that `fails` names fail, and the
 * calls that `waits` names are answered late.
 */
async function twoTabs() {
  const failing = {
    fails: (_sid: string, _text: string): boolean => false,
    waits: (_call: 'read' | 'write', _sid: string, _text = ''): Promise<void> | undefined => undefined,
  }
  let rows: Rows = new Map()
  const driver = sample((all, { read, write }) => {
    rows = all
    return {
      async read(sid, ...rest) {
        const found = await read(sid, ...rest)
        await failing.waits('read', sid, found?.text)
        return found
      },
      async write(sid, next, ...rest) {
        if (failing.fails(sid, next.text)) throw new Error('down')
        const answer = await write(sid, next, ...rest)
        await failing.waits('write', sid, next.text)
        return answer
      },
    }
  })
  const startNode = (): Promise<Site> => startSite({ store: new DriverStore(), shared: { ...SHARED, driver, bus: false } })
  const [one, two] = [await startNode(), await startNode()]
  const tab = async (item: string) => {
    const browser = new CookieBrowser()
    const socket = await letIn(browser.open(one.url, { transports: ['websocket'] }))
    await socket.emitWithAck('add', item)
    socket.disconnect()
    const sid = [...rows].find(([, { text }]) => text.includes(`["${item}"]`))?.[0] as string
    const cookie = browser.cookie as string
    return { sid, cookie, asSession: `connect.sid=${cookie.slice(cookie.indexOf('~') + 1)}` }
  }
  const page = new CookieBrowser()
  await page.fetch(`${one.url}/add?item=a`, { method: 'POST' })
  return { one, two, rows, failing, moved: await tab('x'), target: await tab('y'), page: page.cookie as string }
}

const show = ({ url }: Site, ...cookies: string[]): Promise<any> => new CookieBrowser(cookies.join('; ')).json(`${url}/session`)

it.each(['one', 'two'] as const)(
  'a session that could not be joined to another one is joined to the one that the other was moved to (node %s)',
  async (node) => {
    const { failing, moved, target, page, ...nodes } = await twoTabs()
    failing.fails = (sid) => sid === target.sid
    expect(await show(nodes.one, target.asSession, moved.cookie)).toMatchObject({ socket: ['y'] })
    failing.fails = () => false
    expect(await show(nodes[node], page, target.cookie)).toMatchObject({ http: ['a'], socket: ['y'] })
    const browser = new CookieBrowser(`${page}; ${moved.cookie}`)
    expect(await browser.json(`${nodes[node].url}/session`)).toMatchObject({ http: ['a'], socket: ['y', 'x'] })
    expect(browser.cookie).toBe(page)
  },
)

it('a session whose data has gone on with the session that it was joined to is not joined once more', async () => {
  const { one, two, rows, failing, moved, target, page } = await twoTabs()
  failing.fails = (sid, text) => sid === moved.sid && !text.includes('"socket"')
  expect(await show(one, target.asSession, moved.cookie)).toMatchObject({ socket: ['y', 'x'] })
  expect(await show(one, page, target.cookie)).toMatchObject({ socket: ['y', 'x'] })
  expect(rows.get(moved.sid)?.text).toContain('"x"')
  expect(await show(two, page, moved.cookie)).toMatchObject({ socket: ['y', 'x'] })
})

/** More commits than a session's history names. */
async function forget({ url }: Site, cookie: string): Promise<void> {
  for (let item = 0; item < 9; item++) await new CookieBrowser(cookie).fetch(`${url}/add?item=${item}`, { method: 'POST' })
}

it('a session that a node has read before another one has joined it is not joined once more', async () => {
  const { one, two, rows, failing, moved, page } = await twoTabs()
  const [marked, goOn, found, answer] = [deferred<void>(), deferred<void>(), deferred<void>(), deferred<void>()]
  failing.waits = (call, sid, text = '') => {
    if (sid !== moved.sid || !text.includes('"movedTo"') || !text.includes('"x"')) return undefined
    const [arrived, late] = call === 'write' ? [marked, goOn] : [found, answer]
    arrived.resolve()
    return late.promise
  }
  const joining = show(one, page, moved.cookie)
  await marked.promise
  const again = show(two, page, moved.cookie)
  await found.promise
  goOn.resolve()
  expect(await joining).toMatchObject({ socket: ['x'] })
  await forget(one, page)
  expect(rows.get(moved.sid)?.text).not.toContain('"x"')
  answer.resolve()
  expect(await again).toMatchObject({ socket: ['x'] })
})

it('a session that the store does not let be emptied is not joined once more by another node', async () => {
  const { one, two, rows, failing, moved, page } = await twoTabs()
  failing.fails = (sid, text) => sid === moved.sid && !text.includes('"socket"')
  expect(await show(one, page, moved.cookie)).toMatchObject({ socket: ['x'] })
  await forget(one, page)
  expect(rows.get(moved.sid)?.text).toContain('"x"')
  expect(await show(two, page, moved.cookie)).toMatchObject({ socket: ['x'] })
})

it('what could not be joined to a session that a login has replaced is not in the session of the login', async () => {
  const { one, failing, moved, target } = await twoTabs()
  failing.fails = (sid) => sid === target.sid
  const browser = new CookieBrowser(`${target.asSession}; ${moved.cookie}`)
  await browser.fetch(`${one.url}/login?regenerate`, { method: 'POST' })
  failing.fails = () => false
  const session = await browser.json(`${one.url}/session`)
  expect(session).toMatchObject({ user: 'ada' })
  expect(session).not.toHaveProperty('socket')
  expect(browser.cookie).not.toContain('.socket.')
})
