import type { BrowserContext, Page } from 'playwright-core'
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { describeInChromium, useChromium } from '../support/chromium.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { buildPage, type Example, startExample } from './run.js'

/** What a tab has on its screen: `user` is `guest` where nobody is logged in, and `null` where no session is shown. */
interface Shown {
  status: string
  user: string | null
  tasks: string[] | null
}

/** Notes each different state that the page renders. */
const RECORDER = `
  globalThis.shown = []
  const look = () => {
    const status = document.querySelector('.pill')?.dataset.status
    if (!status) return
    const user = document.querySelector('.user')?.textContent ?? (document.querySelector('form.account') ? 'guest' : null)
    const list = document.querySelector('main ul')
    const tasks = list && [...list.querySelectorAll('span')].map(({ textContent }) => textContent)
    const state = { status, user, tasks }
    if (JSON.stringify(state) !== JSON.stringify(shown.at(-1))) shown.push(state)
  }
  new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true, attributes: true })
`

describeInChromium('the React example in two tabs of Chromium', () => {
  let example: Example
  let proxy: TcpProxy
  let context: BrowserContext
  let one: Page
  let two: Page
  let complaints: string[]

  beforeAll(() => buildPage('react'))
  beforeEach(async () => {
    example = await startExample('react/server.ts')
    proxy = await TcpProxy.start(Number(new URL(example.url).port))
    complaints = []
    context = await newContext()
    await context.addInitScript(RECORDER)
    ;[one, two] = await Promise.all([open(), open()])
  })
  afterEach(async () => {
    await proxy?.stop()
    await example?.stop()
  })
  const newContext = useChromium(15_000)

  async function open(url = `http://127.0.0.1:${proxy.port}`): Promise<Page> {
    const page = await context.newPage()
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('console', (message) => {
      // The browser's own words for a connection that is gone are no complaint.
      const own = /^(WebSocket connection|Failed to load resource)/.test(message.text())
      if (['error', 'warning'].includes(message.type()) && !own) complaints.push(message.text())
    })
    await page.goto(url)
    await shows(page, 'guest', [])
    return page
  }

  async function shows(page: Page, user: string, tasks: string[], status = 'live'): Promise<void> {
    const wanted: Shown = { status, user, tasks }
    try {
      await page.waitForFunction(`JSON.stringify(shown.at(-1)) === '${JSON.stringify(wanted)}'`)
    } catch (cause) {
      throw new Error(`${JSON.stringify(wanted)} did not come after\n${JSON.stringify(await recorded(page))}`, { cause })
    }
  }

  const recorded = (page: Page) => page.evaluate<Shown[]>('shown')

  /** What was rendered of the session, without its status and without repetitions. */
  async function sessions(page: Page): Promise<string[]> {
    const all = (await recorded(page)).map(({ user, tasks }) => (user === null && !tasks ? 'none' : `${user}: ${tasks}`))
    return all.filter((one, index) => one !== all[index - 1])
  }

  async function forget(...pages: Page[]): Promise<void> {
    for (const page of pages) await page.evaluate('shown.splice(0, shown.length - 1)')
  }

  async function add(page: Page, text: string): Promise<void> {
    await page.fill('[name="text"]', text)
    await page.click('.add button')
  }

  async function logIn(page: Page, name: string): Promise<void> {
    await page.fill('[name="name"]', name)
    await page.click('.account button')
  }

  it('a task, a login and a logout in one tab show in both, and no session is mixed with another', async () => {
    await add(one, 'milk')
    for (const page of [one, two]) await shows(page, 'guest', ['milk'])
    await forget(one, two)
    await logIn(one, 'Ada')
    for (const page of [one, two]) {
      await shows(page, 'Ada', ['milk'])
      expect(await sessions(page)).toEqual(['guest: milk', 'none', 'Ada: milk'])
    }
    await add(two, 'bread')
    for (const page of [one, two]) await shows(page, 'Ada', ['milk', 'bread'])
    await forget(one, two)
    await two.click('.account button')
    for (const page of [one, two]) {
      await shows(page, 'guest', [])
      expect(await sessions(page)).toEqual(['Ada: milk,bread', 'none', 'guest: '])
    }
    // One session again, and not one for each tab.
    await add(one, 'eggs')
    await shows(two, 'guest', ['eggs'])
    expect(complaints).toEqual([])
  })

  it('what happens during a gap is there at once when it ends, and what was added meanwhile is sent', async () => {
    const other = await open(example.url.replace('localhost', '127.0.0.1'))
    await add(one, 'milk')
    for (const page of [one, two, other]) await shows(page, 'guest', ['milk'])
    await forget(one, two)
    proxy.down()
    for (const page of [one, two]) await shows(page, 'guest', ['milk'], 'stale')
    await logIn(other, 'Ada')
    await shows(other, 'Ada', ['milk'])
    for (const text of ['bread', 'eggs']) await add(other, text)
    await shows(other, 'Ada', ['milk', 'bread', 'eggs'])
    proxy.up()
    for (const page of [one, two]) {
      await shows(page, 'Ada', ['milk', 'bread', 'eggs'])
      const seen = await sessions(page)
      expect(seen.filter((session) => session !== 'none')).toEqual(['guest: milk', 'Ada: milk,bread,eggs'])
    }
    await forget(one, two)
    proxy.down()
    await shows(one, 'Ada', ['milk', 'bread', 'eggs'], 'stale')
    await add(one, 'salt')
    await shows(one, 'Ada', ['milk', 'bread', 'eggs', 'salt'], 'stale')
    await add(other, 'tea')
    await shows(other, 'Ada', ['milk', 'bread', 'eggs', 'tea'])
    proxy.up()
    for (const page of [one, two, other]) await shows(page, 'Ada', ['milk', 'bread', 'eggs', 'tea', 'salt'])
    expect(complaints).toEqual([])
  })

  it('a restart that forgets all sessions: both tabs come back with one new session', async () => {
    await logIn(one, 'Ada')
    await shows(two, 'Ada', [])
    await add(two, 'milk')
    await shows(one, 'Ada', ['milk'])
    await forget(one, two)
    await example.stop()
    for (const page of [one, two]) await shows(page, 'Ada', ['milk'], 'stale')
    example = await startExample('react/server.ts', [], { PORT: new URL(example.url).port })
    for (const page of [one, two]) {
      await shows(page, 'guest', [])
      expect((await sessions(page)).filter((session) => session !== 'none')).toEqual(['Ada: milk', 'guest: '])
    }
    await add(two, 'eggs')
    await shows(one, 'guest', ['eggs'])
    expect(complaints).toEqual([])
  })

  it('an add shows at once, and goes away with the reason when the server refuses it', async () => {
    for (const text of ['one', 'two', 'three']) await add(one, text)
    for (const page of [one, two]) await shows(page, 'guest', ['one', 'two', 'three'])
    await forget(one, two)
    proxy.stall()
    await add(one, 'four')
    await shows(one, 'guest', ['one', 'two', 'three', 'four'])
    proxy.resume()
    await one.waitForSelector('.problem:has-text("A guest may have 3 tasks")')
    await shows(one, 'guest', ['one', 'two', 'three'])
    expect(await sessions(one)).toEqual(['guest: one,two,three', 'guest: one,two,three,four', 'guest: one,two,three'])
    expect(await sessions(two)).toEqual(['guest: one,two,three'])
    expect(complaints).toEqual([])
  })

  it('an add that is accepted does not flicker', async () => {
    await forget(one, two)
    await add(one, 'milk')
    await shows(two, 'guest', ['milk'])
    await one.click('.remove')
    await shows(two, 'guest', [])
    await shows(one, 'guest', [])
    for (const page of [one, two]) expect(await sessions(page)).toEqual(['guest: ', 'guest: milk', 'guest: '])
    expect(complaints).toEqual([])
  })
})
