import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'
import type { Page } from 'playwright-core'
import { compile } from 'svelte/compiler'
import { afterEach, beforeAll, expect, it } from 'vitest'
import { compileScript, parse } from 'vue/compiler-sfc'
import { describeInChromium, useChromium } from '../support/chromium.js'
import { folderWith, program } from './program.js'
import { tidy } from './scene.js'
import { snippet } from './snippets.js'

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

/** Compiles the single-file components of Vue. */
const vue: Plugin = {
  name: 'vue',
  setup: ({ onLoad }) =>
    onLoad({ filter: /\.vue$/ }, ({ path }) => {
      const { descriptor } = parse(snippet('Cart.vue'), { filename: path })
      return { contents: compileScript(descriptor, { id: 'cart', inlineTemplate: true }).content, loader: 'ts' }
    }),
}

/** Compiles the components of Svelte. */
const svelte: Plugin = {
  name: 'svelte',
  setup: ({ onLoad }) =>
    onLoad({ filter: /\.svelte$/ }, ({ path }) => ({
      contents: compile(snippet('Cart.svelte'), { filename: path, generate: 'client' }).js.code,
    })),
}

/** What an application has around the blocks of the page. */
const MAINS: Record<string, string> = {
  React: `
    import { StrictMode } from 'react'
    import { createRoot } from 'react-dom/client'
    import { Cart } from './cart.js'
    createRoot(document.getElementById('root')).render(<StrictMode><Cart /></StrictMode>)`,
  Vue: `
    import { createApp } from 'vue'
    import Cart from './Cart.vue'
    createApp(Cart).mount('#root')`,
  Svelte: `
    import { mount } from 'svelte'
    import Cart from './Cart.svelte'
    mount(Cart, { target: document.getElementById('root') })`,
}

describeInChromium('the session in the page, in Chromium', () => {
  let html: string
  beforeAll(() => {
    html = '<!doctype html><div id="root"></div><script type="module" src="/app.js"></script>'
  })
  afterEach(tidy)
  const newContext = useChromium()

  /** Starts the server of the page with these files beside it. */
  async function start(files: Record<string, string>): Promise<{ folder: string; url: string }> {
    const folder = folderWith({ 'server.ts': snippet('live-page#server.ts'), ...files })
    mkdirSync(join(folder, 'node_modules'))
    symlinkSync(at(''), join(folder, 'node_modules/sharedsession'))
    return { folder, url: await program(folder, 'server.ts').line(/http:\S+/) }
  }

  async function twoTabs(url: string): Promise<[Page, Page]> {
    const context = await newContext()
    const pages = [await context.newPage(), await context.newPage()] as [Page, Page]
    for (const page of pages) await page.goto(url)
    return pages
  }

  it('a plain page shows what the other tab does, a login and a logout', async () => {
    const { url } = await start({ 'public/index.html': snippet('live-page#index.html') })
    const pages = await twoTabs(url)
    const show = async (text: string) => {
      for (const page of pages) await page.waitForSelector(`#session:has-text('${text}')`)
    }
    for (const page of pages) await page.waitForSelector('#status:text-is("live")')
    await pages[0].click('#add')
    await show('"apple"')
    await pages[1].click('#login')
    await show('"user": "Ada"')
    await pages[0].click('#logout')
    await show('"items": []')
    for (const page of pages) expect(await page.content()).not.toContain('ada@example.com')
  })

  it.each(Object.keys(MAINS))('a component of %s shows what the other tab does, a login and a logout', async (framework) => {
    const { folder, url } = await start({
      'live.ts': snippet('live.ts'),
      'cart.tsx': snippet('cart.tsx'),
      'Cart.vue': '',
      'Cart.svelte': '',
      'guess.ts': snippet('guess.ts'),
      'login.ts': snippet('login-until'),
      'main.tsx': `${MAINS[framework]}
        import * as guesses from './guess.js'
        import * as login from './login.js'
        Object.assign(globalThis, guesses, login)`,
      'public/index.html': html,
    })
    await build({
      ...{ entryPoints: [join(folder, 'main.tsx')], outfile: join(folder, 'public/app.js'), bundle: true, format: 'esm' },
      ...{
        jsx: 'automatic',
        plugins: [vue, svelte],
        conditions: ['browser'],
        logLevel: 'silent',
        resolveExtensions: ['.ts', '.tsx', '.js'],
      },
      define: { 'process.env.NODE_ENV': '"development"' },
      alias: Object.fromEntries(
        Object.entries({ client: 'index', react: 'react', vue: 'vue' }).map(([entry, file]) => [
          `sharedsession/${entry}`,
          at(`src/client/${file}.ts`),
        ]),
      ),
    })
    const [one, two] = await twoTabs(url)
    const show = async (user: string, items: string) => {
      for (const page of [one, two]) {
        await page.waitForSelector(`h1:text-is("${user}")`)
        await page.waitForFunction(`document.querySelector('ul').innerText.split('\\n').join() === '${items}'`)
      }
    }
    await show('Guest', '')
    await one.click('button')
    await show('Guest', 'apple')
    await two.evaluate('logIn()')
    await show('Ada', 'apple')
    expect(await one.evaluate(`addItem('pear')`)).toBeUndefined()
    await show('Ada', 'apple,pear')
    for (let n = 0; n < 18; n++) await one.evaluate(`addItem('more')`)
    expect(await one.evaluate(`addItem('one too many').catch((error) => error.message)`)).toBe('The cart is full.')
    await one.evaluate(`fetch('/logout', { method: 'POST' })`)
    await show('Guest', '')
    expect(await two.locator('p').textContent()).toBe('live')
  })
})
