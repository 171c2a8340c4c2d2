import type { BrowserContext, Page } from 'playwright-core'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { describeInChromium, useChromium } from '../support/chromium.js'
import { type Example, startExample } from './run.js'

describeInChromium('the demo of Passport in Chromium', () => {
  let example: Example
  let one: Page
  let two: Page
  let complaints: string[]

  beforeEach(async () => {
    example = await startExample('passport/server.js')
    complaints = []
    const context = await visitor()
    one = await open(context)
    two = await open(context)
  })
  afterEach(async () => {
    await example?.stop()
  })

  const newContext = useChromium()

  const visitor = (): Promise<BrowserContext> => newContext({ viewport: { width: 1200, height: 800 } })

  async function open(context: BrowserContext): Promise<Page> {
    const page = await context.newPage()
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
    })
    page.on('pageerror', (error) => complaints.push(String(error)))
    await page.goto(example.url)
    await is('nobody', page)
    return page
  }

  /** Both ways, and back with a connection. */
  async function is(user: string, ...pages: Page[]): Promise<void> {
    for (const page of pages) {
      await page.waitForSelector('#connection[data-state="live"]')
      await page.waitForSelector(`#socket-user:text-is("${user}")`)
      await page.waitForSelector(`#http-user:text-is("${user}")`)
    }
  }

  async function logIn(page: Page, username: string, password: string): Promise<void> {
    await page.fill('#login [name="username"]', username)
    await page.fill('#login [name="password"]', password)
    await page.click('#login [type="submit"]')
  }

  async function pin(page: Page, text: string): Promise<void> {
    await page.fill('#note-text', text)
    await page.click('#note button')
  }

  it('a login in one tab is a login in all, and so is a logout in another', async () => {
    await logIn(one, 'ada', 'engine')
    await is('Ada', one, two)
    await two.waitForSelector('#members li:text-is("Ada")')
    await two.waitForSelector('#log li:has-text("the session has ended")')
    await two.click('#logout button')
    await is('nobody', one, two)
    await one.waitForSelector('#login:visible')
    await one.waitForSelector('#members-closed:visible')
    await one.click('#login [data-username="grace"]')
    await one.click('#login [type="submit"]')
    await is('Grace', one, two)
    expect(complaints).toEqual([])
  })

  it('the socket refuses nobody, and knows who pins a note', async () => {
    await pin(one, 'as nobody')
    await one.waitForSelector('#note-error:text-is("Log in first.")')
    await logIn(one, 'ada', 'engine')
    await is('Ada', one, two)
    await pin(two, 'as somebody')
    await one.waitForSelector('#notes li:has(b:text-is("Ada")):has-text("as somebody")')
    expect(await one.locator('#notes li').count()).toBe(1)
    expect(complaints).toEqual([])
  })

  it('two browsers are two users, and both see who is there', async () => {
    const other = await open(await visitor())
    await logIn(one, 'ada', 'engine')
    await logIn(other, 'grace', 'compiler')
    await is('Ada', one, two)
    await is('Grace', other)
    for (const page of [one, two, other]) await page.waitForSelector('#members:has-text("AdaGrace")')
    await two.click('#logout button')
    await is('nobody', one, two)
    await other.waitForSelector('#members:has-text("Grace"):not(:has-text("Ada"))')
    await is('Grace', other)
    expect(complaints).toEqual([])
  })

  it('a wrong password is said to be wrong, and nothing else happens', async () => {
    await logIn(one, 'ada', 'compiler')
    await one.waitForSelector('#login-error:text-is("Wrong name or password.")')
    expect(await one.locator('#log li').count()).toBe(1)
    await is('nobody', one, two)
    // The browser's own word for a 401.
    expect(complaints.filter((text) => !text.includes('401'))).toEqual([])
  })

  it('a cookie whose session is gone: both tabs get a new one, which they share', async () => {
    const context = one.context()
    const cookies = await context.cookies()
    await logIn(one, 'ada', 'engine')
    await is('Ada', one, two)
    // The cookie of the session before: as if the server had forgotten this one.
    await context.clearCookies()
    await context.addCookies(cookies)
    await one.reload()
    await two.reload()
    await is('nobody', one, two)
    await logIn(two, 'grace', 'compiler')
    await is('Grace', one, two)
    // The browser's own words for connections that were refused.
    expect(complaints.filter((text) => !/^(WebSocket connection|Failed to load resource)/.test(text))).toEqual([])
  })

  it('a session that ends while the browser keeps its cookie: both tabs fetch a new one, which they share', async () => {
    await logIn(one, 'ada', 'engine')
    await is('Ada', one, two)
    const [cookie] = (await one.context().cookies()).map(({ name, value }) => `${name}=${value}`)
    await fetch(`${example.url}/logout`, { method: 'POST', headers: { cookie: cookie! } })
    await is('nobody', one, two)
    await logIn(two, 'grace', 'compiler')
    await is('Grace', one, two)
    // The browser's own words for requests of a refused client that were under way.
    expect(complaints.filter((text) => !/^(WebSocket connection|Failed to load resource)/.test(text))).toEqual([])
  })

  it('nothing is cut off or wider than a screen of 360 px, neither logged out nor logged in', async () => {
    await one.setViewportSize({ width: 360, height: 740 })
    await one.fill('#note-text', (await one.getAttribute('#note-text', 'placeholder')) ?? '')
    expect(await tooWide(one)).toEqual([])
    await logIn(one, 'ada', 'engine')
    await is('Ada', one)
    await pin(one, 'word'.repeat(40))
    await one.waitForSelector('#notes li')
    await one.waitForSelector('#note-text:placeholder-shown')
    expect(await tooWide(one)).toEqual([])
  })
})

/** Elements that are wider than the screen, or whose content is wider than they are. */
function tooWide(page: Page): Promise<string[]> {
  return page.evaluate(`
    [...document.querySelectorAll('html, body, body :not(.sr)')]
      .filter(({ scrollWidth, clientWidth }) => clientWidth > 0 && scrollWidth > clientWidth)
      .map((element) => \`\${element.tagName} \${element.id}\`)
  `)
}
