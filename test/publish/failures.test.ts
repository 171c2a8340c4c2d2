import { afterEach, describe, expect, it } from 'vitest'
import type { SharedSessionError } from '../../src/index.js'
import { closeApps, startApp } from '../support/app.js'
import { collect } from '../support/live.js'
import { until } from '../support/wait.js'
import { mirrored } from './mirror.js'

afterEach(closeApps)

/** A tab whose session can be made unpublishable. */
async function started(bad: (session: any) => unknown, shared: object = {}) {
  const app = await startApp({
    shared: { publish: (session: any) => (session.bad ? (bad(session) as object) : { n: session.n }), ...shared },
  })
  const browser = app.browser()
  await browser.get('/set?n=0')
  const mirror = await mirrored(browser)
  const errors = collect<SharedSessionError>(app.shared.events as never, 'session:error')
  const onSocket = collect<SharedSessionError>(app.sockets[0]!, 'session:error')
  return { app, browser, mirror, errors, onSocket }
}

const circular: any = {}
circular.self = circular
const deep: any = {}
let inner = deep
for (let n = 0; n < 100_000; n++) {
  inner.a = {}
  inner = inner.a
}

describe.each<[string, (session: any) => unknown]>([
  [
    'throws',
    () => {
      throw new Error('a bug')
    },
  ],
  ['returns a promise', async () => ({})],
  ['returns a promise that rejects', () => Promise.reject(new Error('a bug'))],
  ['returns nothing', () => undefined],
  ['returns null', () => null],
  ['returns an array', () => []],
  ['returns a text', () => '{}'],
  ['returns a function', () => () => 1],
  ['returns a Date', () => new Date()],
  ['returns what JSON has not', () => ({ n: 1n })],
  ['returns a circle', () => circular],
  ['returns what is too deep', () => deep],
])('publish that %s', (_what, bad) => {
  it('keeps the last state, and the next commit heals it', async () => {
    const { browser, mirror, errors, onSocket } = await started(bad)
    await browser.get('/set?n=1&bad=1')
    await until(() => mirror.frames.length === 2)
    expect(mirror.frames[1]).toEqual({ e: 'PUBLISH_FAILED' })
    expect(errors).toEqual([expect.objectContaining({ code: 'PUBLISH_FAILED' })])
    expect(onSocket).toEqual(errors)
    await browser.get('/set?n=2')
    expect(errors).toHaveLength(2)
    const late = await mirrored(browser)
    expect(late.frames).toEqual([{ e: 'PUBLISH_FAILED' }])
    await browser.get('/delete?key=bad')
    await mirror.when((state) => state.n === '2')
    await late.when((state) => state.n === '2')
    expect(mirror.frames).toHaveLength(3)
    expect(mirror.frames[2]).toMatchObject({ n: expect.any(String) })
  })
})

it('a state that is the same again after a failure is said to be live', async () => {
  const { browser, mirror } = await started(() => null)
  const { tag } = mirror
  await browser.get('/set?bad=1')
  await browser.get('/delete?key=bad')
  await until(() => mirror.frames.length === 3)
  expect(mirror.frames[2]).toEqual({ t: tag, n: expect.any(String) })
})

it('a state that is too large is reported once, until it fits again', async () => {
  const { browser, mirror, errors } = await started((session) => ({ text: 'é'.repeat(50), n: session.n }), {
    publishMaxBytes: 100,
  })
  await browser.get('/set?bad=1')
  await browser.get('/set?n=1')
  await until(() => mirror.frames.length === 2)
  expect(mirror.frames[1]).toEqual({ e: 'TOO_LARGE_TO_PUBLISH' })
  expect(errors).toEqual([
    expect.objectContaining({ code: 'TOO_LARGE_TO_PUBLISH', message: expect.stringContaining('publishMaxBytes') }),
  ])
  await browser.get('/delete?key=bad')
  await mirror.when((state) => state.n === '1')
  await browser.get('/set?bad=1')
  await until(() => mirror.frames.length === 4)
  expect(errors).toHaveLength(2)
  expect(mirror.frames.at(-1)).toEqual({ e: 'TOO_LARGE_TO_PUBLISH' })
})

it('publish may change its copy, and a listener of the error may end the socket', async () => {
  const { app, browser } = await started(() => null, {
    publish: (session: any) => {
      if (session.bad) throw new Error('a bug')
      const { n } = session
      session.n = 'changed'
      session.user = { name: 'mallory' }
      return { n }
    },
  })
  expect((await browser.get('/session')).body).toEqual({ cookie: expect.anything(), n: '0' })
  app.shared.events.on('session:error', () => app.sockets[0]!.disconnect())
  await browser.get('/set?bad=1')
  await until(() => !app.sockets[0]!.connected)
  expect((await browser.get('/session')).body).toMatchObject({ n: '0', bad: '1' })
})
