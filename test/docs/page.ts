import { mirror } from '../../src/client/index.js'
import { CookieBrowser } from '../support/browser.js'
import { cleanup } from './scene.js'

/**
 * A browser's page, as far as the pages of docs/ need one: cookies, elements with `onclick` and `textContent`, `io` and `mirror`.
 * @param browser whose cookies it has; a new one's where there is none
 * @returns the elements, by id
 */
export async function openPage(url: string, browser = new CookieBrowser()) {
  const html = await (await browser.fetch(url)).text()
  const [, script = ''] = html.match(/<script(?: type="module")?>(.*?)<\/script>/s) ?? []
  const code = script.replace("import { mirror } from '/sharedsession.js'", '')
  const elements: Record<string, { textContent: string; onclick?: () => Promise<unknown> }> = {}
  for (const [, id] of html.matchAll(/id="(\w+)"/g)) elements[id!] = { textContent: '' }
  const sockets: { disconnect(): unknown }[] = []
  const close = (): void => {
    for (const socket of sockets) socket.disconnect()
  }
  const page = {
    mirror,
    document: {
      querySelector: (selector: string) => elements[selector.slice(1)],
      querySelectorAll: () => Object.values(elements),
    },
    fetch: (path: string, options: RequestInit) => browser.fetch(url + path, options),
    io(options: object) {
      const socket = browser.open(url, options)
      sockets.push(socket)
      return socket
    },
  }
  cleanup(close)
  new Function(...Object.keys(page), code)(...Object.values(page))
  return { elements, browser, close }
}
