import { afterEach, describe, expect, it } from 'vitest'
import { CookieBrowser, closePages, TRANSPORTS } from '../support/browser.js'
import { letIn } from '../support/handshake.js'
import { next, until } from '../support/wait.js'
import { closeSites, startSite } from './site.js'

afterEach(async () => {
  closePages()
  await closeSites()
})

describe.each(['attach', 'use'] as const)('row 1: a first visit that writes by HTTP and connects at once, with %s', (wire) => {
  describe.each(TRANSPORTS)('by %s', (_name, transports) => {
    it.each(['the request', 'the handshake'])(
      'keeps what both wrote in one session where %s is answered first',
      async (first) => {
        const site = await startSite({ wire })
        const browser = new CookieBrowser()
        // Without attach() the first client of a process has no response left for a cookie: see row 10.
        if (wire === 'use' && transports[0] === 'websocket') await letIn(new CookieBrowser().open(site.url, { transports }))
        const posted = browser.fetch(`${site.url}/add?item=a${first === 'the request' ? '' : '&slow'}`, { method: 'POST' })
        if (first === 'the request') await posted
        const client = browser.open(site.url, { transports })
        await letIn(client)
        expect(await client.emitWithAck('add', 'x')).toBe('ok')
        site.slow.resolve(undefined)
        await posted
        expect(await browser.json(`${site.url}/session`)).toMatchObject({ http: ['a'], socket: ['x'] })
        await until(
          async () =>
            client.connected &&
            (
              await client
                .timeout(1000)
                .emitWithAck('get')
                .catch(() => ({}))
            ).http,
        )
        await client.emitWithAck('add', 'y')
        expect(await browser.json(`${site.url}/session`)).toMatchObject({ http: ['a'], socket: ['x', 'y'] })
        expect(browser.connections).toBeLessThanOrEqual(2)
      },
    )
  })
})

describe.each(TRANSPORTS)('row 2: three tabs that are opened at once, by %s', (_name, transports) => {
  it('the tabs have one session after the next HTTP request, with all that was acknowledged', async () => {
    const site = await startSite()
    const browser = new CookieBrowser()
    const keep = browser.keep.bind(browser)
    const answers: string[][] = []
    browser.keep = (lines) => void answers.push(lines)
    const tabs = [0, 1, 2].map(() => browser.open(site.url, { transports }))
    await Promise.all(tabs.map(letIn))
    browser.keep = keep
    for (const lines of answers) keep(lines)
    // A tab that polls may be made to come again before it is acknowledged.
    const acks = await Promise.allSettled(tabs.map((tab, number) => tab.emitWithAck('add', number)))
    const acknowledged = [0, 1, 2].filter((number) => acks[number]!.status === 'fulfilled')
    const found = await browser.json(`${site.url}/session`)
    expect(found.socket ?? []).toEqual(expect.arrayContaining(acknowledged))
    await until(async () => {
      const sessions = await Promise.all(
        tabs.map((tab) =>
          tab
            .timeout(1000)
            .emitWithAck('get')
            .catch(() => undefined),
        ),
      )
      return sessions.every((session) => session && acknowledged.every((number) => session.socket?.includes(number)))
    })
    const heard = next(site.sockets.at(-1)!, 'session:changed')
    await browser.fetch(`${site.url}/add?item=a`, { method: 'POST' })
    await heard
    expect(browser.connections).toBeLessThanOrEqual(6)
  })
})
