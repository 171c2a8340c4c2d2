import { IndeterminateWriteError, type StoreDriver } from 'sharedsession/driver'
import type { Socket } from 'socket.io'
import { afterEach, describe, expect, it } from 'vitest'
import { MIRROR_EVENT } from '../../src/client/protocol.js'
import type { JsonObject } from '../../src/document/json.js'
import { apply as applyPatches, type Patch } from '../../src/document/patch.js'
import type { SessionChange, SharedSessionEvents, SharedSessionOptions } from '../../src/index.js'
import { sample } from '../driver-testing/sample.js'
import { type App, type Browser, closeApps, startApp, type TestClient } from '../support/app.js'
import { DriverStore } from '../support/driver-store.js'
import { collect, tab } from '../support/live.js'
import { MemoryBus } from '../support/memory-bus.js'
import { sidOf } from '../support/sid.js'
import { deferred, next, until } from '../support/wait.js'
import { follow, mirrored, type TestMirror } from './mirror.js'

afterEach(closeApps)

/** More commits than a stored session remembers. */
const MANY = 9

interface Lost {
  near: App
  /** Another node. */
  far: App
  browser: Browser
  writer: TestClient
  /** Was given `session:error`. */
  failed: Promise<unknown>
  /** The states that the store has held, as they are published. */
  stored: unknown[]
  /** The answers to what `near` writes next are lost, if it reaches the store at all, and so is the answer to the first read after that. */
  lose(reachesStore: boolean): void
  /** The first write has been sent. */
  sent: Promise<unknown>
  /** Its answer is lost, and so on. */
  goOn(): void
  read: Promise<unknown>
  goOnReading(): void
  /** Another node commits so often that nothing tells any more whether that write has happened. */
  overtake(): Promise<void>
}

const published = ({ cookie: _, ...data }: any): object => data

/** Two nodes on one store, the answers of which are lost to one of them. */
async function lost(shared: SharedSessionOptions = {}): Promise<Lost> {
  const [sent, goOn, read, goOnReading] = [deferred(), deferred(), deferred(), deferred()]
  const stored: unknown[] = []
  const plain = sample((_rows, driver) => ({
    async write(sid, state, ...args) {
      const answer = await driver.write(sid, state, ...args)
      if (answer.written) stored.push(published(JSON.parse(state.text)))
      return answer
    },
  }))
  let state: 'calm' | 'losing' | 'resending' | 'reading' = 'calm'
  let reachesStore = false
  const driver: StoreDriver = {
    ...plain,
    async write(...args) {
      if (state === 'losing') {
        state = 'resending'
        if (reachesStore) await plain.write(...args)
        sent.resolve()
        await goOn.promise
        throw new IndeterminateWriteError(new Error('the connection was lost'))
      }
      if (state === 'resending') state = 'reading'
      return plain.write(...args)
    },
    async read(sid) {
      if (state === 'reading') {
        state = 'calm'
        read.resolve()
        await goOnReading.promise
      }
      return plain.read(sid)
    },
  }
  const bus = new MemoryBus()
  const options = { publish: published, revalidate: false as const, touch: false, ...shared }
  const near = await startApp({ store: new DriverStore(), shared: { ...options, driver, bus: bus.end() } })
  const far = await startApp({ store: new DriverStore(), shared: { ...options, driver: plain, bus: bus.end() } })
  const browser = near.browser()
  await browser.get('/set?user=ada')
  const { client: writer, socket } = await tab(near, browser)
  return {
    ...{ near, far, browser, writer, stored },
    failed: next(socket, 'session:error'),
    lose(reaches) {
      state = 'losing'
      reachesStore = reaches
    },
    ...{ sent: sent.promise, goOn: () => goOn.resolve(), read: read.promise, goOnReading: () => goOnReading.resolve() },
    async overtake() {
      for (let n = 1; n <= MANY; n++) await far.shared.update(sidOf(browser), (draft: any) => void Object.assign(draft, { n }))
    },
  }
}

/** The states that a page shows, one after the other. */
function statesOf(mirror: TestMirror): unknown[] {
  const states: unknown[] = [mirror.state]
  mirror.client.on(MIRROR_EVENT, () => states.push(mirror.state))
  return states
}

/** The states that a socket is told of, one after the other. @param first what it has */
function toldTo(socket: Socket, first: Record<string, unknown>): unknown[] {
  const states: unknown[] = []
  let state = first
  socket.on('session:changed', ({ patches }: SessionChange) => {
    state = applyPatches(state as JsonObject, patches as Patch[])
    states.push(state)
  })
  return states
}

describe.each([
  ['has not happened', false],
  ['has happened', true],
])('a write of unknown outcome that %s', (_name, reachesStore) => {
  it.each<[string, SharedSessionOptions]>([
    ['the default options', {}],
    ['onChange: notify', { onChange: 'notify' }],
    ['merge: false', { merge: false }],
  ])('takes no page to a state that was never stored, with %s', async (_options, shared) => {
    const test = await lost(shared)
    const { near, browser, writer, stored } = test
    const page = await mirrored(browser)
    const shown = statesOf(page)
    test.lose(reachesStore)
    writer.emit('set', 'theme', 'dark')
    await test.sent
    await test.overtake()
    test.goOn()
    expect(await test.failed).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    await test.read
    // A page that asks now is answered with what is known.
    const late = follow(writer)
    writer.emit(MIRROR_EVENT, 0)
    await until(() => late.state)
    expect(stored).toContainEqual(late.state)
    expect(stored).toContainEqual(near.shared.published(near.sockets[0]!).state)
    test.goOnReading()
    await page.when(({ n }) => n === MANY)
    expect(page.state).toEqual(stored.at(-1))
    await late.when(({ n }) => n === MANY)
    for (const state of shown) expect(stored).toContainEqual(state)
  })

  it('is told to other sockets when the session has been read, and to its authors as far as others wrote it', async () => {
    const test = await lost()
    const { near, browser, stored } = test
    const [author, coauthor, reader] = [near.sockets[0]!, (await tab(near, browser)).socket, (await tab(near, browser)).socket]
    const told = toldTo(reader, { user: 'ada' })
    const toldToAuthor = toldTo(author, { user: 'ada', theme: 'dark' })
    const toldToCoauthor = toldTo(coauthor, { user: 'ada', size: 'small' })
    const heard = collect<SharedSessionEvents['session:changed']>(near.shared.events, 'session:changed')
    test.lose(reachesStore)
    near.shared.session(author).theme = 'dark'
    near.shared.session(coauthor).size = 'small'
    await test.sent
    await test.overtake()
    test.goOn()
    await test.failed
    await test.read
    expect([...told, ...toldToAuthor, ...toldToCoauthor, ...heard]).toEqual([])
    test.goOnReading()
    await until(() => told.length > 0)
    const [now] = stored.slice(-1)
    expect([told, toldToAuthor, toldToCoauthor]).toEqual([[now], [now], [now]])
    expect(heard.map(({ keys }) => [...keys].sort())).toEqual([reachesStore ? ['n', 'size', 'theme'] : ['n']])
  })
})

it('without merging the next save stores a write of unknown outcome all the same, and tells it', async () => {
  const test = await lost({ merge: false })
  const { near, browser, stored } = test
  const [author, reader] = [near.sockets[0]!, (await tab(near, browser)).socket]
  const told = toldTo(reader, { user: 'ada' })
  const session = near.shared.session(author)
  test.lose(false)
  session.theme = 'dark'
  await test.sent
  await test.overtake()
  session.size = 'small'
  test.goOn()
  await test.failed
  await test.read
  expect(told).toEqual([])
  test.goOnReading()
  await until(() => told.length > 2)
  expect(stored.at(-1)).toEqual({ user: 'ada', theme: 'dark', size: 'small' })
  expect(told.at(-1)).toMatchObject({ theme: 'dark', size: 'small' })
})
