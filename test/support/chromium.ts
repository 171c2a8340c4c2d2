import type { Browser, BrowserContext, BrowserContextOptions } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, it } from 'vitest'
import { executablePath, launchChromium } from './launch-chromium.js'

if (!executablePath) {
  console.log('There is no Chromium on this machine: its tests are skipped.')
  it.runIf(process.env.CI)('Chromium is there in CI', () => {
    throw new Error('CI runs no less than everything: install chromium.')
  })
}

/** `describe` for what needs Chromium: skipped where there is none, which fails in CI. */
export const describeInChromium = describe.runIf(executablePath)

/**
 * Starts a Chromium for a suite. To be called in its `describe`, behind its `afterEach`, so that a test's pages are closed before its server.
 * @param timeout how long a page waits for what a test waits for, in ms
 * @returns opens a browser profile with cookies of its own, which is closed when the test ends
 */
export function useChromium(timeout = 30_000): (options?: BrowserContextOptions) => Promise<BrowserContext> {
  let browser: Browser | undefined
  const contexts: BrowserContext[] = []
  beforeAll(async () => {
    browser = await launchChromium()
  })
  afterAll(() => browser?.close())
  afterEach(async () => {
    for (const context of contexts.splice(0)) await context.close()
  })
  return async (options) => {
    const context = await browser!.newContext(options)
    context.setDefaultTimeout(timeout)
    contexts.push(context)
    return context
  }
}
