import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeInChromium, useChromium } from '../support/chromium.js'
import { startRedis } from '../support/redis.js'
import { withService } from '../support/service.js'
import { until } from '../support/wait.js'
import { type Example, startExample } from './run.js'

await withService('Redis', startRedis, (redis) => {
  describeInChromium('the cluster in two tabs of Chromium', () => {
    let example: Example

    beforeAll(async () => {
      example = await startExample('cluster/server.js', [], { REDIS_URL: redis().url })
    })

    afterAll(() => example?.stop())
    const newContext = useChromium()

    const nodeOf = (page: Page): Promise<string> => page.locator('#node').getAttribute('data-node') as Promise<string>

    async function open(context: BrowserContext, wanted: (node: string) => boolean): Promise<Page> {
      for (;;) {
        const page = await context.newPage()
        await page.goto(example.url)
        await page.locator('#node:not([data-node=""])').waitFor()
        if (wanted(await nodeOf(page))) return page
        await page.close()
      }
    }

    it('shows the node of each tab, what the other one did, and a logout', async () => {
      const context = await newContext()
      const one = await open(context, () => true)
      const two = await open(context, () => true)
      const apart = (await nodeOf(one)) === (await nodeOf(two)) ? await open(context, () => true) : two
      await until(async () => {
        // Until both listen, a message may have come too early.
        await one.locator('#click').click()
        return (await apart.locator('#log').innerText()).includes('clicks')
      })
      await one.locator('#user').fill('Ada')
      await one.locator('#login button').click()
      await apart.locator('#who', { hasText: 'Ada' }).waitFor()
      await one.locator('#word').fill('hello')
      await one.locator('#add button').click()
      await apart.locator('#words li', { hasText: 'hello' }).waitFor()
      if (process.env.SCREENSHOTS) {
        await apart.screenshot({ path: `${process.env.SCREENSHOTS}/light.png`, fullPage: true })
        await apart.emulateMedia({ colorScheme: 'dark' })
        await apart.setViewportSize({ width: 420, height: 900 })
        await apart.screenshot({ path: `${process.env.SCREENSHOTS}/dark.png`, fullPage: true })
      }
      await one.locator('#logout button').click()
      await apart.locator('#log', { hasText: 'the session has ended' }).waitFor()
      await apart.locator('#login').waitFor({ state: 'visible' })
      expect(await apart.locator('#words li').count()).toBe(0)
    })
  })
})
