import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { bundled } from '../../scripts/weight.mjs'
import { describeInChromium, useChromium } from '../support/chromium.js'

describeInChromium('Vue in Chromium', () => {
  const newContext = useChromium()

  async function open(): Promise<{ page: Page; logged: string[] }> {
    const code = await bundled('', {
      stdin: undefined,
      entryPoints: [fileURLToPath(new URL('pages/vue.js', import.meta.url))],
      external: [],
      format: 'iife',
      define: {
        'process.env.NODE_ENV': '"production"',
        __VUE_OPTIONS_API__: 'true',
        __VUE_PROD_DEVTOOLS__: 'false',
        __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'true',
      },
    })
    const page = await (await newContext()).newPage()
    const logged: string[] = []
    page.on('pageerror', (error) => logged.push(String(error)))
    page.on('console', (message) => logged.push(message.text()))
    await page.setContent('<!doctype html><div id="root"></div>')
    await page.addScriptTag({ content: code })
    return { page, logged }
  }

  it('shows what is selected, renders again when it changes, and stops with the component or the scope', async () => {
    const { page, logged } = await open()
    const shows = (id: string, text: string) =>
      page.waitForFunction(`document.getElementById('${id}').textContent === ${JSON.stringify(text)}`)
    await shows('items', 'connecting: undefined')
    await page.evaluate("page.server.connect(); page.server.publish({ items: ['tea'], user: 'Ada' })")
    await shows('items', 'live: tea')
    await shows('whole', 'Ada')
    const before = await page.evaluate('page.renders()')
    await page.evaluate("page.server.publish({ items: ['tea'], user: 'Bob' })")
    await shows('whole', 'Bob')
    expect(await page.evaluate('page.renders()')).toBe(before)
    expect(await page.evaluate('page.scoped()')).toBe('one')
    expect(await page.evaluate('page.listeners()')).toBe(1)
    await page.evaluate('page.unmount()')
    expect(await page.evaluate('page.listeners()')).toBe(0)
    expect(logged).toEqual([])
  })

  it('has the state of now where a component is shown again, and in onMounted()', async () => {
    const { page, logged } = await open()
    await page.evaluate("page.server.connect(); page.server.publish({ items: ['tea'], user: 'Ada' })")
    expect(await page.evaluate('page.again()')).toEqual({ rendered: ['Ada', 'Ada'], mounted: ['Ada', 'Ada'] })
    expect(logged).toEqual([])
  })

  it('hydrates with the embedded state, and then shows the one of now', async () => {
    const { page, logged } = await open()
    expect(await page.evaluate('page.hydrate()')).toEqual({ rendered: 'connecting Ada tea', isSame: true })
    await page.waitForFunction("document.getElementById('hydrated').textContent === 'live Bob milk'")
    expect(logged).toEqual([])
  })
})
