import { afterEach, expect, it, vi } from 'vitest'
import { closeApps, startApp } from '../support/app.js'

afterEach(async () => {
  vi.restoreAllMocks()
  await closeApps()
})

/** Counts the searches in long strings from now on. */
function countSearches(): () => number {
  let searches = 0
  for (const method of ['indexOf', 'lastIndexOf'] as const) {
    const original = String.prototype[method]
    vi.spyOn(String.prototype, method).mockImplementation(function (this: string, ...args) {
      if (this.length > 5000) searches++
      return original.apply(this, args)
    })
  }
  return () => searches
}

it.each([
  ['that names its session', (cookie: string) => `; ${cookie}`, { user: 'ada' }],
  ['that names none', () => '', {}],
])(
  'a Cookie header %s, and is full of the cookie’s name, is not searched once for each time it has it',
  async (_what, end, held) => {
    const app = await startApp({ wire: (io, shared) => void shared.attach(io) })
    const browser = app.browser()
    await browser.get('/set?user=ada')
    browser.cookie = `${'connect.sid'.repeat(900)}${end(browser.cookie as string)}`
    const searches = countSearches()
    const client = await browser.connect()
    app.shared.explain(app.sockets[0] as never)
    expect(searches()).toBeLessThan(100)
    expect(await client.emitWithAck('get')).toMatchObject(held)
  },
)
