import { afterEach, describe, expect, it, vi } from 'vitest'
import { MIRROR_EVENT } from '../../src/client/protocol.js'
import type { SharedSessionOptions } from '../../src/index.js'
import { closeApps, startApp } from '../support/app.js'
import { turns } from '../support/live.js'
import { next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'
import { mirrored } from './mirror.js'

afterEach(closeApps)

describe('a reader that has stopped', () => {
  it('costs one packet, however much is committed, and gets one frame when it reads again', async () => {
    const app = await startApp({ shared: { publish: (session) => ({ n: session.n, text: session.text }) } })
    const browser = app.browser()
    await browser.get('/set?n=0')
    const slow = await mirrored(browser)
    const [socket] = app.sockets as [any]
    const stream = (slow.client.io.engine as any).transport.ws._socket
    stream.pause()
    // Until neither kernel takes any more.
    const text = 'x'.repeat(60_000)
    for (let n = 1; socket.conn.transport.writable && n < 1000; n++) {
      await app.shared.update(socket, (draft: any) => Object.assign(draft, { n, text: text + n }))
      await turns(2)
    }
    const buffered: number[] = []
    for (let n = 0; n < 10_000; n++) {
      await app.shared.update(socket, (draft: any) => Object.assign(draft, { n: -n, text: undefined }))
      buffered.push(socket.conn.writeBuffer.length)
    }
    expect(Math.max(...buffered)).toBe(1)
    const before = slow.frames.length
    stream.resume()
    await slow.when((state) => state.n === -9999)
    const last = slow.frames.slice(before).filter((frame) => 's' in frame && frame.s.n === -9999)
    expect(last).toHaveLength(1)
    expect(slow.frames.at(-1)).toEqual(last[0])
  })

  it('by polling: what changes between two polls is one frame', async () => {
    const app = await startApp({ shared: { publish: (session) => ({ n: session.n, rest: 'x'.repeat(200) }) } })
    const browser = app.browser()
    await browser.get('/set?n=0')
    const mirror = await mirrored(browser, { transports: ['polling'] })
    const [socket] = app.sockets as [any]
    const written = mirror.frames.length
    // The first change answers the poll; the others wait for the next one.
    for (let n = 1; n <= 50; n++) await app.shared.update(socket, (draft: any) => Object.assign(draft, { n }))
    expect(socket.conn.writeBuffer.length).toBeLessThanOrEqual(1)
    await mirror.when((state) => state.n === 50)
    expect(mirror.frames.length - written).toBeLessThan(50)
  })

  it('gets the ack of its own write after the frame also then', async () => {
    const app = await startApp({ shared: { publish: (session) => ({ n: session.n }) } })
    const browser = app.browser()
    await browser.get('/set?n=0')
    const mirror = await mirrored(browser, { transports: ['polling'] })
    for (let n = 0; n < 20; n++) {
      const acks = [n, n + 100, n + 200].map((value) => mirror.client.emitWithAck('set', 'n', value))
      await acks[2]
      expect(mirror.state).toEqual({ n: n + 200 })
    }
  })

  it('has a last frame that says that the session ended', async () => {
    const app = await startApp({ shared: { publish: (session) => ({ n: session.n }) } })
    const browser = app.browser()
    await browser.get('/set?n=0')
    const mirror = await mirrored(browser, { transports: ['polling'] })
    const [socket] = app.sockets as [any]
    for (let n = 1; n <= 5; n++) await app.shared.update(socket, (draft: any) => Object.assign(draft, { n }))
    await browser.get('/destroy')
    await until(() => mirror.frames.some((frame) => 'end' in frame))
    expect(mirror.frames.filter((frame) => 'end' in frame)).toEqual([{ end: 'destroyed' }])
    expect(mirror.frames.at(-1)).toEqual({ end: 'destroyed' })
  })
})

it('fifty tabs are one projection and one encoding per commit', async () => {
  let projections = 0
  const app = await startApp({
    shared: {
      publish: (session) => {
        projections++
        return { n: session.n, rest: 'x'.repeat(100) }
      },
    },
  })
  const browser = app.browser()
  await browser.get('/set?n=0')
  const tabs = await Promise.all(Array.from({ length: 50 }, () => mirrored(browser)))
  const encode = vi.spyOn((app.io as any).encoder, 'encode')
  projections = 0
  await browser.get('/set?n=1')
  await Promise.all(tabs.map((tab) => tab.when((state) => state.n === '1')))
  expect(projections).toBe(1)
  expect(encode).toHaveBeenCalledTimes(1)
})

describe('questions of a client that polls no more', () => {
  it.each<[string, SharedSessionOptions]>([
    ['with the option publish', { publish: (session) => ({ n: session.n }) }],
    ['without it', {}],
    ['after the end of the session', { onEnd: 'keep', publish: (session) => ({ n: session.n }) }],
    ['after the end of the session without the option publish', { onEnd: 'keep' }],
  ])('%s: they are one packet', async (_what, shared) => {
    if (!shared.publish) expectWarning('no option publish')
    const app = await startApp({ shared })
    const browser = app.browser()
    await browser.get('/set?n=0')
    const headers = { cookie: browser.cookie as string }
    const poll = (query = '', body?: string): Promise<string> =>
      fetch(`${app.url}/socket.io/?EIO=4&transport=polling${query}`, { headers, ...(body && { method: 'POST', body }) }).then(
        (response) => response.text(),
      )
    const { sid } = JSON.parse((await poll()).slice(1))
    await poll(`&sid=${sid}`, '40')
    await poll(`&sid=${sid}`)
    const [socket] = app.sockets as [any]
    if (shared.onEnd) await app.shared.destroy(socket)
    await poll(`&sid=${sid}`, Array(100).fill(`42["${MIRROR_EVENT}",0]`).join('\u001e'))
    expect(socket.conn.writeBuffer).toHaveLength(1)
    const answers = (await poll(`&sid=${sid}`)).split('\u001e')
    expect(answers).toEqual([
      expect.stringContaining(shared.onEnd ? '"end"' : shared.publish ? '"s":{"n":"0"}' : 'NOT_PUBLISHED'),
    ])
  })
})

it('questions of a client that claims to hold states which never were share one frame', async () => {
  const app = await startApp({ shared: { publish: (session) => ({ n: session.n, rest: 'x'.repeat(100) }) } })
  const browser = app.browser()
  await browser.get('/set?n=0')
  const [asking] = [await mirrored(browser), await mirrored(browser)]
  const encode = vi.spyOn((app.io as any).encoder, 'encode')
  for (let n = 0; n < 50; n++) {
    const answer = next(asking.client, MIRROR_EVENT)
    asking.client.emit(MIRROR_EVENT, `x${n}`)
    expect(await answer).toMatchObject({ s: { n: '0' } })
  }
  expect(encode.mock.calls.length).toBeLessThanOrEqual(1)
})

it('with a second parameter publish runs once per socket', async () => {
  const app = await startApp({
    shared: { publish: (session, socket) => ({ n: session.n, mine: socket.handshake.query.name }) },
  })
  const browser = app.browser()
  await browser.get('/set?n=0')
  const [one, two] = [await mirrored(browser, { query: { name: 'one' } }), await mirrored(browser, { query: { name: 'two' } })]
  await browser.get('/set?n=1')
  await Promise.all([one, two].map((tab) => tab.when((state) => state.n === '1')))
  expect([one.state, two.state]).toEqual([
    { mine: 'one', n: '1' },
    { mine: 'two', n: '1' },
  ])
  const back = await mirrored(browser, { query: { name: 'one' }, before: one })
  expect(back.frames).toEqual([{ t: one.tag, n: expect.any(String) }])
})

describe('publishInterval', () => {
  it('sends what changes in that time together', async () => {
    const app = await startApp({ shared: { publish: (session) => ({ n: session.n }), publishInterval: 300 } })
    const browser = app.browser()
    await browser.get('/set?n=0')
    const mirror = await mirrored(browser)
    for (let n = 1; n <= 20; n++) await app.shared.update(app.sockets[0]!, (draft: any) => Object.assign(draft, { n }))
    // Another tab is told at once what the store holds.
    expect((await mirrored(browser)).state).toEqual({ n: 20 })
    await mirror.when((state) => state.n === 20)
    expect(mirror.frames.length).toBeLessThanOrEqual(3)
  })

  it('ends with the sockets, and with close()', async () => {
    const app = await startApp({ shared: { publish: (session) => ({ n: session.n }), publishInterval: 1_000_000 } })
    const browser = app.browser()
    await browser.get('/set?n=0')
    const mirror = await mirrored(browser)
    for (let n = 1; n <= 3; n++) await browser.get(`/set?n=${n}`)
    const gone = next(app.sockets[0]!, 'disconnect')
    mirror.client.disconnect()
    await gone
    const back = await mirrored(browser, { before: mirror })
    expect(back.state).toEqual({ n: '3' })
    await app.shared.close()
  })
})
