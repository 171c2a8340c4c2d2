import { execFileSync } from 'node:child_process'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { mirror } from '../../src/client/index.js'
import { fakeSocket } from '../../src/client/testing/index.js'
import { turns } from '../support/live.js'
import { until } from '../support/wait.js'

const mirrors: { close(): void }[] = []

afterEach(() => {
  for (const live of mirrors.splice(0)) live.close()
  vi.unstubAllGlobals()
})

/** A tab of the browser, live on a session. */
function tab(session = 'session00001') {
  const { socket, server } = fakeSocket<{ user: string | null }>()
  server.session = session
  server.publish({ user: session })
  const live = mirror<{ user: string | null }>(socket)
  mirrors.push(live)
  server.connect()
  return { socket, server, live }
}

describe('the tabs of a browser', () => {
  it('forget the state when one of them hears that their session has ended, and take nothing of it any more', async () => {
    const [one, two] = [tab(), tab()]
    one.server.end()
    await until(() => two.live.status === 'switching')
    expect(two.live.get()).toBe(undefined)
    two.server.send({ t: 'x', s: { user: 'old' }, n: 'session00001' })
    expect(two.live.get()).toBe(undefined)
    expect(two.socket.io.reconnectionDelay()).toBe(0)
    two.server.end()
    two.server.session = 'session00002'
    two.server.publish({ user: 'new' })
    two.server.connect()
    expect(two.live.get()).toEqual({ user: 'new' })
  })

  it('on another session stay there: the message may come late, from a tab that slept', async () => {
    const [sleeping, other] = [tab(), tab('session00002')]
    const witness = tab()
    sleeping.server.end()
    await until(() => witness.live.status === 'switching')
    expect([other.live.status, other.live.get()]).toEqual(['live', { user: 'session00002' }])
  })

  it('that are between two sessions take the next one', async () => {
    const [one, two] = [tab(), tab()]
    two.server.drop()
    one.server.end()
    // It has connected, and has no answer yet.
    two.server.onquestion = () => undefined
    two.server.publish({ user: 'other' })
    const { accept } = Object.getPrototypeOf(Object.getPrototypeOf(two.server))
    accept.call(two.server)
    await until(() => two.live.status === 'switching')
    two.server.send({ t: 'next', s: { user: 'new' }, n: 'session00002' })
    expect(two.live.get()).toEqual({ user: 'new' })
  })

  it('do not answer each other without end', async () => {
    const messages: unknown[] = []
    const tabs = [tab(), tab(), tab()]
    const channel = new BroadcastChannel('session:mirror')
    channel.onmessage = ({ data }: any) => messages.push(data)
    tabs[0]!.server.end()
    await until(() => tabs.every(({ live }) => live.status === 'switching'))
    tabs[0]!.server.connect()
    tabs[0]!.server.send({ end: 'destroyed' })
    await turns(200)
    channel.close()
    expect(messages.length).toBeLessThanOrEqual(tabs.length)
    expect(new Set(messages)).toEqual(new Set(['session00001']))
  })

  it('need no BroadcastChannel', () => {
    vi.stubGlobal('BroadcastChannel', undefined)
    const { server, live } = tab()
    expect(live.get()).toEqual({ user: 'session00001' })
    server.end()
    expect(live.status).toBe('switching')
  })

  it('are live without it where a page is denied it, and ask once', () => {
    let tries = 0
    class Denied {
      constructor() {
        tries++
        throw new Error('denied')
      }
    }
    vi.stubGlobal('BroadcastChannel', Denied)
    const { server, live } = tab()
    expect(tries).toBe(1)
    expect([live.status, live.get()]).toEqual(['live', { user: 'session00001' }])
    expect(server.questions).toHaveLength(1)
    server.end()
    expect(live.status).toBe('switching')
  })

  it('that do not come back by themselves are ended, and live when the page connects them again', async () => {
    const [one, two] = [tab(), tab()]
    two.socket.disconnect()
    one.server.end()
    await until(() => two.live.get() === undefined)
    expect(two.live.status).toBe('ended')
    two.server.session = 'session00002'
    two.server.publish({ user: 'new' })
    two.socket.connect()
    expect([two.live.status, two.live.get()]).toEqual(['live', { user: 'new' }])
  })

  it('hear nothing after close()', async () => {
    const [one, two, witness] = [tab(), tab(), tab()]
    two.live.close()
    one.server.end()
    await until(() => witness.live.status === 'switching')
    expect(two.live.get()).toEqual({ user: 'session00001' })
  })
})

it('a mirror does not hold a process open', () => {
  const program = `
    const { mirror } = require(${JSON.stringify(new URL('../../dist/client.cjs', import.meta.url).pathname)})
    const { fakeSocket } = require(${JSON.stringify(new URL('../../dist/testing.cjs', import.meta.url).pathname)})
    const { socket, server } = fakeSocket()
    server.publish({ a: 1 })
    const live = mirror(socket)
    server.connect()
    console.log(live.status)`
  expect(execFileSync(process.execPath, ['--eval', program], { encoding: 'utf8', timeout: 120_000 }).trim()).toBe('live')
})
