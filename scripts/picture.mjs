// Draws docs/public/two-tabs.png from the cart demo in Chromium: what one tab puts into the cart is in the cart of the other.
// It is a script of its own, and no check: letters look a little different on each machine.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { launchChromium } from '../test/support/launch-chromium.ts'
import { launchExample } from '../test/support/launch-example.ts'
import { encodePng } from './png.mjs'
import { root } from './support.mjs'

const tab = { width: 480, height: 678 }
const scale = 2

async function openTab(context, url) {
  const page = await context.newPage()
  await page.goto(url)
  await page.waitForSelector('#connection[data-state="live"]')
  await page.waitForSelector('#coffees [data-sku="gayo"] .add')
  return page
}

const highlightsFade = (page) =>
  page.evaluate('Promise.all(document.getAnimations().map(({ finished }) => finished)).then(() => {})')

/** What a tab shows when the element is at its top, as a data URL. */
async function pictureOf(page, element) {
  await page.evaluate(`
    document.documentElement.style.scrollbarWidth = 'none'
    scrollTo(0, document.querySelector('${element}').getBoundingClientRect().top + scrollY - 18)
  `)
  return `data:image/png;base64,${(await page.screenshot()).toString('base64')}`
}

const frame = (picture, title, state) => `
  <figure>
    <figcaption><i></i><i></i><i></i><b>Corner Coffee</b><span>${title}</span></figcaption>
    <img src="${picture}" width="${tab.width}" height="${tab.height}">
    ${state}
  </figure>`

const pointer = ({ x, y }) => `
  <svg class="pointer" style="left: ${x}px; top: ${y}px" width="26" height="30" viewBox="0 0 13 15">
    <path d="M1 1v11l3-2.6 1.8 4.2 2.1-.9-1.8-4.1H10z" fill="#14201d" stroke="#fff" />
  </svg>`

const style = `
  body { display: inline-flex; gap: 28px; margin: 0; padding: 28px; background: #d3e3de; font: 600 14px system-ui, sans-serif; color: #14201d }
  figure { position: relative; margin: 0; border-radius: 14px; overflow: hidden; outline: 1px solid #b4cac3 }
  figcaption { display: flex; align-items: center; gap: 7px; height: 42px; padding: 0 16px; background: #fff; border-bottom: 1px solid #e0e6e3 }
  figcaption i { width: 11px; height: 11px; border-radius: 50%; background: #cfd9d5 }
  figcaption b { margin-left: 10px }
  figcaption span { margin-left: auto; color: #5a6863; font-weight: 400 }
  img { display: block }
  .pointer { position: absolute }`

/** The page's picture in at most 256 colours: the most frequent ones, and for each other colour the nearest of these. */
async function indexed(page, picture) {
  const { colors, width, height, pixels } = await page.evaluate(async (source) => {
    const bitmap = await createImageBitmap(await (await fetch(source)).blob())
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d')
    canvas.drawImage(bitmap, 0, 0)
    const { data } = canvas.getImageData(0, 0, bitmap.width, bitmap.height)
    const counts = new Map()
    const keyAt = (i) => (data[i] << 16) | (data[i + 1] << 8) | data[i + 2]
    for (let i = 0; i < data.length; i += 4) counts.set(keyAt(i), (counts.get(keyAt(i)) ?? 0) + 1)
    const sorted = [...counts].sort(([, a], [, b]) => b - a).map(([key]) => key)
    const distance = (a, b) => [16, 8, 0].reduce((sum, shift) => sum + (((a >> shift) & 255) - ((b >> shift) & 255)) ** 2, 0)
    const colors = []
    for (const key of sorted) if (colors.length < 256 && !colors.some((other) => distance(key, other) < 20)) colors.push(key)
    const nearest = new Map(
      sorted.map((key) => [
        key,
        colors.reduce((best, color, i) => (distance(key, color) < distance(key, colors[best]) ? i : best), 0),
      ]),
    )
    let pixels = ''
    for (let i = 0; i < data.length; i += 4) pixels += String.fromCharCode(nearest.get(keyAt(i)))
    return { colors, width: bitmap.width, height: bitmap.height, pixels: btoa(pixels) }
  }, picture)
  return { colors, width, height, pixels: Buffer.from(pixels, 'base64') }
}

const demo = await launchExample('cart/server.js')
const browser = await launchChromium()
try {
  const context = await browser.newContext({ viewport: tab, deviceScaleFactor: scale, colorScheme: 'light' })
  const one = await openTab(context, demo.url)
  const two = await openTab(context, demo.url)
  await two.click('#coffees [data-sku="huila"] .add')
  await one.waitForSelector('#cart [data-sku="huila"]')
  await highlightsFade(one)
  await highlightsFade(two)
  await one.click('#coffees [data-sku="guji"] .add')
  await two.waitForSelector('#cart [data-sku="guji"]')
  await two.evaluate('for (const highlight of document.getAnimations()) Object.assign(highlight, { currentTime: 0 }).pause()')
  const other = await pictureOf(two, '[aria-labelledby="cart-title"]')
  await highlightsFade(one)
  const changing = await pictureOf(one, 'main')
  const button = await one.locator('#coffees [data-sku="guji"] .add').boundingBox()

  const sheet = await context.newPage()
  const at = { x: button.x + button.width * 0.8, y: button.y + button.height * 0.55 + 43 }
  await sheet.setContent(
    `<style>${style}</style>${frame(changing, 'one tab adds Guji', pointer(at))}${frame(other, 'the other tab shows it', '')}`,
  )
  const shot = await sheet.locator('body').screenshot()
  const png = encodePng(await indexed(sheet, `data:image/png;base64,${shot.toString('base64')}`))
  await writeFile(join(root, 'docs/public/two-tabs.png'), png)
  console.log(`docs/public/two-tabs.png: ${(png.length / 1000).toFixed(1)} kB`)
} finally {
  await browser.close()
  await demo.stop()
}
