import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { beforeAll, expect, it } from 'vitest'
import { bundled } from '../../scripts/weight.mjs'
import { describeInChromium, useChromium } from '../support/chromium.js'

/** Another version of React, in a folder of its own: scripts/react18.mjs sets it. */
const folder = process.env.REACT_FOLDER

describeInChromium('React in Chromium', () => {
  const newContext = useChromium()
  const logged: string[] = []
  let code = ''

  beforeAll(async () => {
    code = await bundled('', {
      stdin: undefined,
      entryPoints: [fileURLToPath(new URL('pages/react.js', import.meta.url))],
      external: [],
      minify: false,
      format: 'iife',
      define: { 'process.env.NODE_ENV': '"development"' },
      ...(folder && {
        alias: Object.fromEntries(['react', 'react-dom'].map((name) => [name, join(folder, 'node_modules', name)])),
      }),
    })
  })

  async function open(): Promise<Page> {
    logged.length = 0
    const page = await (await newContext()).newPage()
    page.on('console', (message) => {
      if (['warning', 'error'].includes(message.type())) logged.push(message.text())
    })
    page.on('pageerror', (error) => logged.push(String(error)))
    await page.setContent('<!doctype html><div id="root"></div>')
    await page.addScriptTag({ content: code })
    return page
  }

  const shows = (page: Page, id: string, text: string) =>
    page.waitForFunction(`document.getElementById('${id}')?.textContent === ${JSON.stringify(text)}`)

  it('shows the state and the status, in StrictMode, and renders again what has changed alone', async () => {
    const page = await open()
    expect(await page.evaluate('page.version')).toMatch(folder ? /^18\./ : /^19\./)
    await page.evaluate('page.strict()')
    await shows(page, 'items', 'none')
    await shows(page, 'status', 'connecting')
    await page.evaluate('page.server.connect()')
    await shows(page, 'items', 'tea')
    await shows(page, 'lengths', '3')
    await shows(page, 'status', 'live')
    const before = await page.evaluate('JSON.stringify(page.renders)')
    await page.evaluate('page.server.publish({ ...page.STATE, count: 1 })')
    await shows(page, 'whole', 'Ada 1')
    expect(await page.evaluate('JSON.stringify(page.renders)')).toBe(before)
    await page.evaluate("page.server.publish({ ...page.STATE, items: ['egg'] })")
    await shows(page, 'items', 'egg')
    const after = (await page.evaluate('page.renders')) as Record<string, number>
    // The lengths are equal.
    expect(after.Lengths).toBe(JSON.parse(before as string).Lengths)
    await page.evaluate('page.server.end()')
    await shows(page, 'whole', 'nobody')
    await shows(page, 'status', 'switching')
    expect(logged).toEqual([])
  })

  it('follows another selection, and guesses', async () => {
    const page = await open()
    await page.evaluate('page.strict(); page.server.connect()')
    await shows(page, 'part', '0')
    await page.click('#part')
    await shows(page, 'part', '{"name":"Ada"}')
    await page.evaluate(
      `void page.guess(page.live, (state) => { state.user.name = 'Bob' }, new Promise((resolve) => { page.settle = resolve }))`,
    )
    await shows(page, 'part', '{"name":"Bob"}')
    await page.evaluate('page.settle()')
    await shows(page, 'part', '{"name":"Ada"}')
    expect(logged).toEqual([])
  })

  it('stops listening when it is unmounted', async () => {
    const page = await open()
    await page.evaluate('page.strict(); page.server.connect()')
    await shows(page, 'items', 'tea')
    expect(await page.evaluate('page.listeners()')).toBeGreaterThan(0)
    await page.evaluate('page.unmount()')
    await page.waitForFunction('page.listeners() === 0')
  })

  it('hydrates with the embedded state, and then shows the one of now in one step', async () => {
    const page = await open()
    await page.evaluate('page.hydrate(true)')
    await shows(page, 'items', 'milk')
    await shows(page, 'whole', 'Ada 5')
    await shows(page, 'status', 'live')
    expect(await page.evaluate('page.html')).toBe('tea3Ada 0connecting0')
    expect(logged).toEqual([])
  })

  it('is sent nothing, and changes nothing but the status, where the embedded state is the one of now', async () => {
    const page = await open()
    await page.evaluate('page.hydrate(false)')
    await shows(page, 'status', 'live')
    expect(await page.evaluate('page.seen')).toEqual(['tea3Ada 0live0'])
    expect(await page.evaluate('page.sent.map((frame) => Object.keys(frame).join())')).toEqual(['t,n'])
    expect(logged).toEqual([])
  })

  it('shows one state in all components of a commit that was rendered in slices', async () => {
    const page = await open()
    const { commits, published } = (await page.evaluate('page.tear()')) as { commits: number[]; published: number }
    expect(published).toBeGreaterThan(0)
    expect(Math.max(...commits)).toBe(1)
    expect(logged).toEqual([])
  })
})
