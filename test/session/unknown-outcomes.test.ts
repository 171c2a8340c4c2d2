import { IndeterminateWriteError, type StoreDriver } from 'sharedsession/driver'
import { afterEach, describe, expect, it } from 'vitest'
import { type Rows, sample } from '../driver-testing/sample.js'
import { type App, type Browser, closeApps, startApp } from '../support/app.js'
import { handshakeCookies, pairOf } from '../support/cookies.js'
import { DriverStore } from '../support/driver-store.js'
import { letIn } from '../support/handshake.js'
import { QUICK, tab } from '../support/live.js'
import { opened } from '../support/opened.js'
import { sidOf } from '../support/sid.js'
import { slowRoute } from '../support/slow-routes.js'
import { deferred, inSeconds, next, until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

const lost = (): IndeterminateWriteError => new IndeterminateWriteError(new Error('the connection was lost'))

/** Reads that fail while the store is down. */
const failingReads = ({ read, readMany }: StoreDriver, fails: () => boolean): Partial<StoreDriver> => ({
  async read(sid) {
    if (fails()) throw new Error('down')
    return read(sid)
  },
  async readMany(sids) {
    if (fails()) throw new Error('down')
    return (readMany as NonNullable<typeof readMany>)(sids)
  },
})

const NEVER = new Promise<never>(() => undefined)

it('a request’s write whose first answer was lost and whose second never comes shows up in live sessions, although a read fails', async () => {
  let failsFrom = Number.POSITIVE_INFINITY
  let writes = 0
  let failedReads = 0
  const driver = sample((_rows, driver): Partial<StoreDriver> => {
    const { write } = driver
    const fails = (): boolean => writes >= failsFrom + 2 && failedReads++ < 2
    return {
      async write(...args) {
        writes++
        if (writes === failsFrom + 1) {
          await write(...args)
          throw new IndeterminateWriteError(new Error('the connection was lost'))
        }
        return writes === failsFrom + 2 ? NEVER : write(...args)
      },
      ...failingReads(driver, fails),
    }
  })
  const app = await startApp({
    store: new DriverStore(),
    shared: { driver, retry: QUICK, revalidate: false, touch: false },
  })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const { socket, session } = await tab(app, browser)
  failsFrom = writes
  const heard = next(socket, 'session:changed', ({ keys }: any) => keys.includes('theme'))
  await browser.get('/set?theme=dark')
  expect(await heard).toMatchObject({ keys: ['theme'] })
  expect(session).toMatchObject({ user: 'ada', theme: 'dark' })
  expect(failedReads).toBeGreaterThan(1)
})

it('a destroy that happens although its answer is lost ends the sockets of its own node', async () => {
  const driver = sample((_rows, { destroy }): Partial<StoreDriver> => {
    return {
      async destroy(...args) {
        await destroy(...args)
        throw new Error('the connection was lost')
      },
    }
  })
  const app = await startApp({ store: new DriverStore(), shared: { driver, retry: QUICK, revalidate: false, touch: false } })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const { socket } = await tab(app, browser)
  const ended = next(socket, 'session:destroyed')
  await expect(app.shared.destroy(socket.handshake.sessionID)).rejects.toMatchObject({ code: 'STORE_FAILED' })
  await ended
})

it('a handshake that has read before a write whose answers are lost reads again', async () => {
  let isLosing = false
  const driver = sample((_rows, { write }): Partial<StoreDriver> => {
    return {
      async write(...args) {
        const answer = await write(...args)
        if (isLosing) throw lost()
        return answer
      },
    }
  })
  const app = await startApp({
    store: new DriverStore(),
    wire: (io, shared) => void shared.attach(io),
    shared: { driver, bus: false, retry: QUICK, revalidate: false, touch: false },
  })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const other = app.browser()
  await other.get('/set?user=eve')
  // From the first handshake on, sessions are read before it is answered.
  await tab(app, other)
  const connection = await opened(app, browser)
  isLosing = true
  const update = app.shared.update(sidOf(browser), (draft: any) => {
    draft.theme = 'dark'
  })
  await expect(update).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  await next(connection.come(), 'connect')
  const { session } = app.sockets.at(-1)!.handshake as any
  await until(() => session.theme === 'dark')
})

it('after a save whose outcome nobody can tell the session is read until the store answers', async () => {
  let writes = Number.NEGATIVE_INFINITY
  let failedReads = 0
  const driver = sample((rows, driver): Partial<StoreDriver> => {
    const { write } = driver
    const fails = (): boolean => writes === 2 && failedReads++ < 3
    return {
      async write(sid, ...args) {
        writes++
        if (writes === 1) throw lost()
        if (writes !== 2) return write(sid, ...args)
        // Another process has written since, which keeps no record of that.
        const row = rows.get(sid)!
        const { cookie } = JSON.parse(row.text)
        row.text = JSON.stringify({ cookie: { ...cookie, sharedsession: undefined }, user: 'eve' })
        return { written: false, stored: { text: row.text } }
      },
      ...failingReads(driver, fails),
    }
  })
  const app = await startApp({ store: new DriverStore(), shared: { driver, retry: QUICK, revalidate: false, touch: false } })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const { socket, session } = await tab(app, browser)
  const error = next(socket, 'session:error')
  writes = 0
  session.theme = 'dark'
  expect(await error).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
  await until(() => session.user === 'eve')
  expect(failedReads).toBeGreaterThan(2)
})

/** A store that loses the answer of the first write, and which another process has changed by then. */
async function losing(
  options: { autoSave?: boolean } = {},
): Promise<{ app: App; browser: Browser; begin(): void; sent: Promise<unknown>; goOn(): void }> {
  expectWarning('OUTCOME_UNKNOWN')
  const [sent, goOn] = [deferred(), deferred()]
  let writes = Number.NEGATIVE_INFINITY
  const driver = sample((rows, { write }): Partial<StoreDriver> => {
    return {
      async write(sid, ...args) {
        writes++
        if (writes === 1) {
          sent.resolve()
          await goOn.promise
          throw lost()
        }
        if (writes !== 2) return write(sid, ...args)
        const row = rows.get(sid)!
        row.text = withoutHistory(row.text)
        return { written: false, stored: { text: row.text } }
      },
    }
  })
  const app = await startApp({ store: new DriverStore(), shared: { driver, revalidate: false, touch: false, ...options } })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const begin = (): void => {
    writes = 0
  }
  return { app, browser, begin, sent: sent.promise, goOn: () => goOn.resolve() }
}

it('an ack whose write may be lost does not leave when a later save of its socket has succeeded', async () => {
  const { app, browser, begin, sent, goOn } = await losing()
  const { client, socket, session } = await tab(app, browser)
  const acknowledge = next(socket, 'first')
  const acks: string[] = []
  client.emit('first', () => acks.push('first'))
  const ack = (await acknowledge) as () => void
  begin()
  session.first = 1
  await sent
  session.second = 2
  ack()
  goOn()
  await app.shared.flush()
  await client.emitWithAck('set', 'third', 3)
  expect(session).toMatchObject({ second: 2, third: 3 })
  expect(session).not.toHaveProperty('first')
  expect(acks).toEqual([])
})

it('each save() that waits rejects for what an earlier save may have lost, although what was written since is saved', async () => {
  const { app, browser, begin, sent, goOn } = await losing()
  const { session } = await tab(app, browser)
  begin()
  session.first = 1
  await sent
  session.second = 2
  // Of two handlers of the same socket.
  const saves = [session.save(), session.save()]
  goOn()
  const unknown = { status: 'rejected', reason: { code: 'OUTCOME_UNKNOWN' } }
  expect(await Promise.allSettled(saves)).toMatchObject([unknown, unknown])
  await session.save()
  expect(session).toMatchObject({ second: 2 })
})

const WRITES: Record<string, (session: any) => void> = {
  data: (session) => {
    session.first = 1
  },
  'the cookie': (session) => {
    session.cookie.maxAge = 1_000_000
  },
}

describe.each(Object.entries(WRITES))('a write to %s that another socket’s save may have lost', (_name, write) => {
  it.each([false, true])('fails one save() of the socket that wrote; it has gone: %s', async (hasGone) => {
    const { app, browser, begin, goOn } = await losing({ autoSave: false })
    const author = await tab(app, browser)
    const other = await tab(app, browser)
    if (hasGone) {
      const gone = next(author.socket, 'disconnect')
      author.client.disconnect()
      await gone
    }
    write(author.session)
    begin()
    goOn()
    await expect(other.session.save()).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    await expect(author.session.save()).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    await author.session.save()
    await other.session.save()
    expect(author.session).not.toHaveProperty('first')
  })
})

/** express-session touches the sessions of a store that has a `touch`. */
class TouchedStore extends DriverStore {
  override touch(): void {}
}

it('a maximum age whose save is in doubt is saved later, although a request has touched the session meanwhile', async () => {
  const rows: Rows = new Map()
  let isLosing = false
  const driver = sample((_rows, { write }) => ({ write: (...args) => (isLosing ? NEVER : write(...args)) }), rows)
  const app = await startApp({
    store: new TouchedStore(),
    session: { cookie: { maxAge: 60_000 } },
    shared: { driver, retry: QUICK, revalidate: false, touch: false },
  })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const { socket, session } = await tab(app, browser)
  const failed = next(socket, 'session:error')
  isLosing = true
  session.cookie.maxAge = 3_600_000
  expect(await failed).toMatchObject({ code: 'SAVE_FAILED' })
  isLosing = false
  await browser.get('/session')
  // It is saved together with this, or after it.
  await browser.get('/set?theme=dark')
  await app.shared.flush()
  const { cookie, ...data } = JSON.parse(rows.get(sidOf(browser))!.text)
  expect(data).toEqual({ user: 'ada', theme: 'dark' })
  expect(inSeconds(cookie.originalMaxAge)).toBe(3600)
})

it('an answer that comes after many commits of others takes no live session back', async () => {
  const goOn = deferred()
  let isHeld = false
  const driver = sample((_rows, { write }): Partial<StoreDriver> => {
    return {
      async write(...args) {
        const isThis = isHeld
        isHeld = false
        const answer = await write(...args)
        if (isThis) await goOn.promise
        return answer
      },
    }
  })
  const options = { driver, bus: false as const, revalidate: false as const, touch: false as const }
  const app = await startApp({ store: new DriverStore(), shared: options })
  const other = await startApp({ store: new DriverStore(), shared: options })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  isHeld = true
  const answered = browser.get('/set?theme=dark')
  await until(() => !isHeld)
  // More than a session's history names.
  for (let n = 1; n <= 10; n++) {
    await other.shared.update(sidOf(browser), (draft: any) => {
      draft.n = n
    })
  }
  const { session } = await tab(app, browser)
  expect(session).toMatchObject({ theme: 'dark', n: 10 })
  goOn.resolve()
  await answered
  expect(session).toMatchObject({ theme: 'dark', n: 10 })
})

it('a live session shows what a request of its process has written only when the outcome of its own save is known', async () => {
  let isLosing = true
  const driver = sample((_rows, { write }): Partial<StoreDriver> => {
    return {
      async write(sid, next, expected) {
        const isOfSocket = JSON.parse(next.text).theme !== undefined
        if (!isLosing || !isOfSocket) return write(sid, next, expected)
        throw lost()
      },
    }
  })
  const app = await startApp({ store: new DriverStore(), shared: { driver, retry: QUICK, revalidate: false, touch: false } })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const { socket, session } = await tab(app, browser)
  const error = next(socket, 'session:error')
  session.theme = 'dark'
  expect(await error).toMatchObject({ code: 'SAVE_FAILED' })
  await browser.get('/set?user=eve')
  expect(session).toMatchObject({ user: 'ada', theme: 'dark' })
  isLosing = false
  await until(() => session.user === 'eve')
  expect(session).toMatchObject({ theme: 'dark' })
})

it('a first write of unknown outcome is not sent again when a request has stored the session, and so does not bring it back after another node’s end', async () => {
  const ended = deferred()
  let isDown = false
  const rows = new Map<string, unknown>()
  const driver = sample((all, driver): Partial<StoreDriver> => {
    return {
      ...failingReads(driver, () => isDown),
      async write(sid, next, expected, ...rest) {
        const isFirst = expected === undefined && next.text.includes('cart')
        if (isFirst && isDown) throw lost()
        if (isFirst) await ended.promise
        const result = await driver.write(sid, next, expected, ...rest)
        for (const entry of all) rows.set(...entry)
        return result
      },
      async destroy(sid) {
        all.delete(sid)
        rows.delete(sid)
      },
    }
  })
  const { arrived, go, routes } = slowRoute((req) => {
    req.session.user = 'ada'
  })
  const options = {
    driver,
    bus: false as const,
    revalidate: false as const,
    touch: false as const,
    retry: { ...QUICK, attempts: 1 },
  }
  const app = await startApp({ store: new DriverStore(), wire: (io, shared) => void shared.attach(io), routes, shared: options })
  const other = await startApp({ store: new DriverStore(), shared: options })
  const browser = app.browser()
  const client = browser.open()
  const [lines] = await Promise.all([handshakeCookies(client), letIn(client)])
  browser.cookie = pairOf(lines) as string
  const slow = browser.get('/slow')
  await arrived
  const gaveUp = next(app.sockets[0]!, 'session:error')
  isDown = true
  client.emit('set', 'cart', [1])
  expect(await gaveUp).toMatchObject({ code: 'SAVE_FAILED' })
  isDown = false
  go()
  await slow
  expect(rows.has(sidOf(browser))).toBe(true)
  expectWarning('OUTCOME_UNKNOWN')
  await other.shared.destroy(sidOf(browser))
  ended.resolve()
  await app.shared.flush().catch(() => undefined)
  expect([...rows.keys()]).toEqual([])
})

/** What a process leaves that keeps no record of its commits. */
function withoutHistory(text: string): string {
  const { cookie, ...data } = JSON.parse(text)
  return JSON.stringify({ ...data, cookie: { ...cookie, sharedsession: undefined } })
}
