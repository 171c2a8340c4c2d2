import type { Page } from 'playwright-core'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { describeInChromium, useChromium } from '../support/chromium.js'
import { type Example, startExample } from './run.js'

const NOTE = 'the key is under the mat'

describeInChromium('the demo in two tabs of Chromium', () => {
  let demo: Example
  let one: Page
  let two: Page
  let complaints: string[]
  let received: string[]

  beforeEach(async () => {
    demo = await startExample('cart/server.js')
    complaints = []
    received = []
    const context = await newContext({ viewport: { width: 1280, height: 800 } })
    one = await open(await context.newPage())
    two = await open(await context.newPage())
  })
  afterEach(() => demo?.stop())
  const newContext = useChromium()

  async function open(page: Page): Promise<Page> {
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
    })
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('requestfailed', (request) => complaints.push(`${request.url()} failed`))
    page.on('request', (request) => {
      if (!request.url().startsWith(demo.url) && !request.url().startsWith('data:')) complaints.push(`asked for ${request.url()}`)
    })
    page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => received.push(String(payload))))
    await page.goto(demo.url)
    await page.waitForSelector('#connection[data-state="live"]')
    await page.waitForSelector('[data-sku="gayo"] .add')
    return page
  }

  async function logIn(name: string): Promise<void> {
    await one.fill('#login-name', name)
    await one.click('#login button')
    for (const page of [one, two]) {
      await page.waitForSelector(`#who:text-is("${name}")`)
      await page.waitForSelector('#connection[data-state="live"]')
    }
  }

  it('a log-in by HTTP in one tab is seen in the other, and the cart goes along', async () => {
    await two.click('#coffees [data-sku="huila"] .add')
    await one.waitForSelector('#cart [data-sku="huila"]')
    await logIn('Ada')
    await two.waitForSelector('#events code:text-is("session:destroyed")')
    await one.waitForSelector('#cart [data-sku="huila"]')
    await two.waitForSelector('#cart [data-sku="huila"]')
    expect(complaints).toEqual([])
  })

  it('what one tab does to the cart by socket is seen in the other, and what was written and how', async () => {
    await one.click('#coffees [data-sku="guji"] .add')
    await two.waitForSelector('#cart [data-sku="guji"] output:text-is("1")')
    await one.click('#cart [data-sku="guji"] .more')
    await two.waitForSelector('#cart [data-sku="guji"] output:text-is("2")')
    await two.waitForSelector('#total:text-is("€29.00")')
    await two.waitForSelector('#events li + li')
    expect(await two.locator('#events li:first-child .way').textContent()).toBe('socket')
    expect(await two.locator('#events li:first-child .keys').textContent()).toBe('cart')
    await two.click('#cart [data-sku="guji"] .remove')
    await one.waitForSelector('#cart-empty')
    await one.waitForSelector('#events li:has-text("cart")')
    // A tab is told of the others' writes, not of its own.
    expect(await one.locator('#events li').count()).toBe(1)
    expect(await two.locator('#events li').count()).toBe(2)
    expect(complaints).toEqual([])
  })

  it('a preference set by HTTP is seen in both at once', async () => {
    await one.click('#theme label:has-text("Dark")')
    for (const page of [one, two]) {
      await page.waitForSelector('html[data-theme="dark"]')
      await page.waitForSelector('#events li:has(.way.http):has-text("theme")')
    }
    const ground = await two.evaluate('getComputedStyle(document.documentElement).backgroundColor')
    expect(ground).toBe('rgb(14, 20, 19)')
    await two.reload()
    await two.waitForSelector('html[data-theme="dark"]')
    expect(complaints).toEqual([])
  })

  it('what is not published reaches neither the page nor the socket', async () => {
    await logIn('Ada')
    await one.fill('#preferences [name="name"]', 'Ada L.')
    await one.fill('#preferences [name="note"]', NOTE)
    await one.click('#preferences button')
    for (const page of [one, two]) {
      await page.waitForSelector('#who:text-is("Ada L.")')
      await page.waitForSelector('#noted:visible')
      expect(await page.content()).not.toContain(NOTE)
    }
    await one.waitForSelector('#preferences [name="note"]:placeholder-shown')
    const frames = received.join('\n')
    expect(frames).toContain('Ada L.')
    expect(frames).not.toContain(NOTE)
    const [cookie] = await one.context().cookies()
    expect(frames).not.toContain(decodeURIComponent(cookie!.value).slice(2).split('.')[0])
    expect(complaints).toEqual([])
  })

  it('a log-out ends both, and both meet again in one new session', async () => {
    await logIn('Ada')
    await one.click('#coffees [data-sku="nyeri"] .add')
    await two.waitForSelector('#cart [data-sku="nyeri"]')
    await one.click('#logout button')
    for (const page of [one, two]) {
      await page.waitForSelector('#events li:has-text("session:destroyed")')
      await page.waitForSelector('#login:visible')
      await page.waitForSelector('#cart-empty')
      await page.waitForSelector('#connection[data-state="live"]')
    }
    await two.click('#coffees [data-sku="gayo"] .add')
    await one.waitForSelector('#cart [data-sku="gayo"]')
    expect(complaints).toEqual([])
  })
})
