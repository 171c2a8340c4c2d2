import fc from 'fast-check'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { TcpProxy } from '../support/tcp-proxy.js'
import { describeOnStores } from './world.js'

/** In each string that is not published. */
const MARK = 'not-for-the-page'

/** Data that no page may see, with the mark in it wherever a string is. */
const hidden = fc.jsonValue({ maxDepth: 3 }).map((value) => ({
  [MARK]: JSON.parse(JSON.stringify(value), (_key, part) => (typeof part === 'string' ? MARK + part : part)),
}))

const published = fc.record({ items: fc.array(fc.string(), { maxLength: 5 }), n: fc.integer() }, { requiredKeys: [] })

await describeOnStores('the bytes that a page gets', (world) => {
  let proxy: TcpProxy
  let bytes: Buffer[]
  beforeEach(async () => {
    await world().post('/set?user=ada')
    proxy = await TcpProxy.start(world().near.port)
    bytes = []
    proxy.onAnswer = (chunk) => bytes.push(chunk)
  })
  afterEach(() => proxy.stop())

  it.each(['websocket', 'polling'])(
    'have no id, no cookie and no key that is not published, whatever the session has, by %s',
    async (transport) => {
      const tab = await world().tab({ ...world().near, url: `http://127.0.0.1:${proxy.port}` }, { transports: [transport] })
      let n = 0
      await fc.assert(
        fc.asyncProperty(published, hidden, hidden, async (shown, top, nested) => {
          n++
          await world().update({ ...shown, ...top, nested, n })
          await tab.shows((state) => state.n === n)
          expect(Object.keys(tab.live.get()!).sort()).toEqual(['items', 'n', 'user'])
        }),
        { numRuns: 50 },
      )
      await world().post('/login?user=grace')
      const sids = [world().sid]
      await tab.shows(({ user }) => user === 'grace')
      await tab.live.until(({ user }) => user === 'grace')
      const text = Buffer.concat(bytes).toString('latin1')
      expect(text).toContain('session:mirror')
      for (const secret of [MARK, 'a secret', 'originalMaxAge', 'connect.sid', 'hidden', ...sids])
        expect(text).not.toContain(secret)
    },
  )
})
