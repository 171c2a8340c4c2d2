import type { Socket } from 'socket.io'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Bus } from '../../src/index.js'
import { type App, type AppOptions, type Browser, closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { turnedAway } from '../support/handshake.js'
import { collect, turns } from '../support/live.js'
import { MemoryBus } from '../support/memory-bus.js'
import { opened } from '../support/opened.js'
import { sidOf } from '../support/sid.js'
import { deferred, next, until } from '../support/wait.js'

// A handshake subscribes to its session on the bus, waits for the answer, and reads the session then.

afterEach(() => {
  vi.useRealTimers()
  return closeApps()
})

/** One end of a bus whose answers to subscriptions can be held. */
function slowEnd(bus: MemoryBus) {
  const end = bus.end()
  const asked: ReturnType<typeof deferred<void>>[] = []
  const came: (() => void)[] = []
  let isSlow = false
  const slow: Bus & { topics: ReadonlySet<string> } = {
    ...{ topics: end.topics, start: end.start.bind(end), publish: end.publish.bind(end), close: end.close.bind(end) },
    unsubscribe: end.unsubscribe.bind(end),
    async subscribe(topic) {
      if (isSlow) {
        const answer = deferred()
        asked.push(answer)
        for (const call of came.splice(0)) call()
        await answer.promise
      }
      await end.subscribe(topic)
    },
  }
  return {
    bus: slow,
    /** From now on it does not answer; resolves when it has been asked. */
    hold(): Promise<void> {
      isSlow = true
      return new Promise((resolve) => came.push(resolve))
    },
    answer(): void {
      isSlow = false
      for (const { resolve } of asked.splice(0)) resolve()
    },
  }
}

/** Two nodes that have the same sessions, and a visitor of both. */
async function nodes() {
  const bus = new MemoryBus()
  const sessions: Record<string, string> = {}
  const start = async (own: Bus): Promise<{ app: App; store: ControlledStore }> => {
    const store = Object.assign(new ControlledStore(), { sessions })
    // From the first handshake on, sessions are read before it is answered.
    const wire: AppOptions['wire'] = (io, shared) => void shared.attach(io)
    return { store, app: await startApp({ store, wire, shared: { bus: own, touch: false, revalidate: false } }) }
  }
  const slow = slowEnd(bus)
  const { app, store } = await start(slow.bus)
  const { app: other } = await start(bus.end())
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const there = Object.assign(other.browser(), { cookie: browser.cookie }) as Browser
  const sid = sidOf(browser)
  const stored = (): any => (sessions[sid] === undefined ? undefined : JSON.parse(sessions[sid]))
  return { app, store, slow, browser, there, sid, stored, topics: slow.bus.topics }
}

const sessionOf = (socket: Socket): any => (socket.handshake as any).session

async function joined(app: App): Promise<Socket> {
  await until(() => app.sockets.length > 0)
  return app.sockets[0] as Socket
}

describe('before the bus has answered', () => {
  it('the session is not read', async () => {
    const { app, store, slow, browser } = await nodes()
    const asked = slow.hold()
    const reads = store.count('get')
    browser.open()
    await asked
    await turns()
    expect(store.count('get')).toBe(reads)
    slow.answer()
    await joined(app)
    // One read is enough.
    await turns()
    expect(store.count('get')).toBe(reads + 1)
  })

  it('another node writes: the socket has it, and hears what comes later', async () => {
    const { app, slow, browser, there } = await nodes()
    const asked = slow.hold()
    browser.open()
    await asked
    await there.get('/set?theme=dark')
    slow.answer()
    const session = sessionOf(await joined(app))
    expect(session).toMatchObject({ user: 'ada', theme: 'dark' })
    await there.get('/set?later=1')
    await until(() => session.later === '1')
  })

  for (const end of ['/destroy', '/regenerate']) {
    it(`another node ends the session (${end}): the socket has another one, and nothing brings it back`, async () => {
      const { app, slow, browser, there, sid, stored } = await nodes()
      const asked = slow.hold()
      browser.open({ reconnection: true, reconnectionDelay: 1 })
      await asked
      await there.get(end)
      slow.answer()
      const session = sessionOf(await joined(app))
      expect(session.id).not.toBe(sid)
      session.n = 1
      await app.shared.flush()
      expect(stored()).toBeUndefined()
    })
  }

  it('the client leaves, or close() is called: nothing is kept', async () => {
    const { app, slow, browser } = await nodes()
    const asked = slow.hold()
    const client = browser.open()
    await asked
    client.disconnect()
    await app.shared.close()
    slow.answer()
    await turns()
    expect(app.sockets).toEqual([])
    expect(app.shared.stats()).toMatchObject({ sessions: 0, sockets: 0 })
  })
})

describe('where the bus does not answer for a second', () => {
  /** A socket that has connected all the same. */
  async function impatient() {
    const scene = await nodes()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const asked = scene.slow.hold()
    scene.browser.open()
    await asked
    vi.advanceTimersByTime(1000)
    vi.useRealTimers()
    const socket = await joined(scene.app)
    return { ...scene, socket, session: sessionOf(socket) }
  }

  it('the handshake goes on, and the socket has what another node writes when the bus has answered', async () => {
    const { slow, there, session } = await impatient()
    await there.get('/set?theme=dark')
    await turns()
    expect(session).toMatchObject({ user: 'ada' })
    expect(session).not.toHaveProperty('theme')
    slow.answer()
    await until(() => session.theme === 'dark')
    await there.get('/set?later=1')
    await until(() => session.later === '1')
  })

  it('an idle session is read when the bus has answered', async () => {
    const { app, slow, there, socket } = await impatient()
    await there.get('/set?theme=dark')
    const { reads } = app.shared.stats()
    slow.answer()
    await until(() => app.shared.stats().reads > reads)
    await until(() => sessionOf(socket).theme === 'dark')
  })

  it('a logout on another node ends the socket when the bus has answered', async () => {
    const { slow, there, socket, stored } = await impatient()
    const ended = next(socket, 'session:destroyed')
    await there.get('/destroy')
    slow.answer()
    expect(await ended).toBeDefined()
    expect(stored()).toBeUndefined()
  })

  it('what the socket writes meanwhile is merged with what another node has written', async () => {
    const { app, there, session, stored } = await impatient()
    await there.get('/set?theme=dark')
    session.n = 1
    await app.shared.flush()
    expect(stored()).toMatchObject({ user: 'ada', theme: 'dark', n: 1 })
  })
})

describe('the subscription', () => {
  it('is held from the handshake on, and by the socket until it leaves', async () => {
    const { app, browser, topics } = await nodes()
    // It is not the time that ends it.
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const connection = await opened(app, browser)
    expect(topics.size).toBe(1)
    const client = connection.come()
    await next(client, 'connect')
    await turns()
    expect(topics.size).toBe(1)
    connection.manager.reconnection(false)
    client.disconnect()
    await until(() => topics.size === 0)
  })

  it('of a handshake to which no socket comes ends, and a socket that comes later has what was written meanwhile', async () => {
    const { app, store, browser, there, topics } = await nodes()
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const connection = await opened(app, browser)
    expect(topics.size).toBe(1)
    vi.advanceTimersByTime(4000)
    expect(topics.size).toBe(0)
    // Nobody here hears of it.
    await there.get('/set?theme=dark')
    const reads = store.count('get')
    await next(connection.come(), 'connect')
    const session = sessionOf(await joined(app))
    await until(() => session.theme === 'dark')
    expect(store.count('get')).toBeGreaterThan(reads)
    expect(topics.size).toBe(1)
    vi.advanceTimersByTime(10_000)
    expect(topics.size).toBe(1)
    await there.get('/set?later=1')
    await until(() => session.later === '1')
  })

  it('of a handshake whose read fails, or that is refused later, ends', async () => {
    const { app, store, browser, topics } = await nodes()
    collect(app.shared.events, 'session:error')
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    store.fail('get')
    const client = browser.open()
    await turnedAway(client)
    vi.advanceTimersByTime(4000)
    expect(topics.size).toBe(0)
  })

  it('of a handshake that finds its read out of date, and cannot read again, ends at once', async () => {
    const { app, store, browser, topics } = await nodes()
    collect(app.shared.events, 'session:error')
    // It is not the time that ends it.
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const connection = await opened(app, browser)
    expect(topics.size).toBe(1)
    await browser.get('/set?theme=dark')
    connection.manager.reconnection(false)
    store.fail('get')
    await turnedAway(connection.come())
    expect(topics.size).toBe(0)
  })

  it('of several sockets of a session is one, and ends with the last', async () => {
    const { browser, there, app, topics } = await nodes()
    const clients = [await browser.connect(), await browser.connect()]
    expect(topics.size).toBe(1)
    clients[0]!.disconnect()
    await until(() => app.shared.stats().sockets === 1)
    const session = sessionOf(app.sockets[1] as Socket)
    await there.get('/set?theme=dark')
    await until(() => session.theme === 'dark')
    clients[1]!.disconnect()
    await until(() => topics.size === 0)
  })

  it('ends with close(), also of handshakes whose sockets have not come', async () => {
    const { app, browser, topics } = await nodes()
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const timers = vi.getTimerCount()
    await opened(app, browser)
    expect(vi.getTimerCount()).toBe(timers + 1)
    await app.shared.close()
    await turns()
    expect(topics.size).toBe(0)
    expect(vi.getTimerCount()).toBe(timers)
  })
})
