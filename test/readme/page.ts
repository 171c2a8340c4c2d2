import { cleanup } from './scene.js'

/**
 * A browser's page, as far as the README's needs one: a cookie, elements with `onclick` and `textContent`, and `io`.
 * @returns the elements, by id
 */
export async function openPage(url: string, connect: (url: string, options: object) => any, cookie?: string) {
  const loaded = await fetch(url, { headers: cookie ? { cookie } : {} })
  const kept = cookie ?? loaded.headers.getSetCookie()[0]!.split(';')[0]!
  const html = await loaded.text()
  const code = html.match(/<script>(.*?)<\/script>/s)?.[1] ?? ''
  const elements: Record<string, { textContent: string; onclick?: () => Promise<unknown> }> = {}
  for (const [, id] of html.matchAll(/id="(\w+)"/g)) elements[id!] = { textContent: '' }
  const page = {
    document: { querySelector: (selector: string) => elements[selector.slice(1)] },
    fetch: (path: string, options: RequestInit) => fetch(url + path, { ...options, headers: { cookie: kept } }),
    io() {
      const socket = connect(url, { forceNew: true, extraHeaders: { cookie: kept, origin: url } })
      cleanup(() => socket.disconnect())
      return socket
    },
  }
  new Function(...Object.keys(page), code)(...Object.values(page))
  return { elements, cookie: kept }
}
