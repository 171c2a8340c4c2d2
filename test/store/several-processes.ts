import type { SessionOptions, Store } from 'express-session'
import type { Socket } from 'socket.io'
import { afterEach, describe, expect, it } from 'vitest'
import type { SharedSessionOptions } from '../../src/index.js'
import { type App, type Browser, closeApps, startApp, type TestClient } from '../support/app.js'
import { failure } from '../support/live.js'
import { sidOf } from '../support/sid.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { next, until } from '../support/wait.js'

/** A store on a real server, as the tests below need it. */
export interface StoreKind {
  driver: string
  /** The server's port. */
  port(): number
  /** A store of its own, on connections of its own, by this port. */
  open(port: number): Promise<{ store: Store; shared?: SharedSessionOptions }>
  /** What the server holds under a session's id. */
  stored(sid: string): Promise<any>
  /** The store has no touch of its own. */
  cannotTouch?: boolean
  /** Is this a conditional write, as it comes to the server? */
  isWrite(request: Buffer): boolean
  /** A touch that changes nothing is followed by a read: the client does not tell whether the row is there. */
  readsAfterTouch?: boolean
}

/** A process, as far as stores can tell: an application with a store of its own. */
interface Process {
  app: App
  proxy: TcpProxy
}

interface Tab {
  client: TestClient
  socket: Socket
  session: Record<string, any>
}

const increment = (draft: any): void => {
  draft.count = (draft.count ?? 0) + 1
}

const RETRY = { attempts: 5, minDelay: 1, maxDelay: 10, timeout: 2000 }

/** What holds for several processes on one store. */
export function describeProcesses(kind: StoreKind): void {
  const ends: (() => Promise<unknown>)[] = []

  afterEach(async () => {
    await closeApps()
    for (const end of ends.splice(0)) await end()
  })

  async function start(shared: SharedSessionOptions = {}, session: Partial<SessionOptions> = {}): Promise<Process> {
    const proxy = await TcpProxy.start(kind.port())
    ends.push(() => proxy.stop())
    const opened = await kind.open(proxy.port)
    const app = await startApp({
      store: opened.store,
      session,
      shared: { retry: RETRY, revalidate: false, touch: false, bus: false, ...opened.shared, ...shared },
      routes(http) {
        http.get('/push', (req, res) => {
          req.session.list = [...(req.session.list ?? []), req.query.value]
          req.session.save((error) => res.json({ code: error?.code }))
        })
        http.get('/cookie', (req, res) => {
          req.session.seen = true
          res.json({ keys: Object.keys(req.session.cookie), data: (req.session.cookie as any).data })
        })
      },
    })
    return { app, proxy }
  }

  /** The visitor of another process's browser. */
  function sameVisitor({ app }: Process, browser: Browser): Browser {
    return Object.assign(app.browser(), { cookie: browser.cookie })
  }

  async function visitor({ app }: Process): Promise<Browser> {
    const browser = app.browser()
    await browser.get('/set?user=ada')
    return browser
  }

  async function tab({ app }: Process, browser: Browser): Promise<Tab> {
    const client = await browser.connect()
    const socket = app.sockets.at(-1) as Socket
    return { client, socket, session: app.shared.session(socket) }
  }

  it('is written by its own driver, and stats() says so', async () => {
    const { app } = await start()
    expect(app.shared.stats().driver).toBe(kind.driver)
  })

  it('loses nothing that sockets, requests and update() of two processes write at once', async () => {
    const retry = { ...RETRY, timeout: 15_000 }
    const processes = [await start({ retry }), await start({ retry })]
    const first = await visitor(processes[0]!)
    const sid = sidOf(first)
    const tabs = await Promise.all(processes.map((process) => tab(process, sameVisitor(process, first))))
    const work: Promise<unknown>[] = []
    for (let n = 0; n < 20; n++) {
      const index = n % 2
      const { app } = processes[index]!
      work.push(tabs[index]!.client.emitWithAck('set', `socket${n}`, n))
      work.push(sameVisitor(processes[index]!, first).get(`/set?http${n}=${n}`))
      work.push(app.shared.update<any>(sid, increment))
    }
    await Promise.all(work)
    await Promise.all(processes.map(({ app }) => app.shared.flush()))
    const stored = await kind.stored(sid)
    expect(stored.count).toBe(20)
    for (let n = 0; n < 20; n++) expect(stored).toMatchObject({ [`socket${n}`]: n, [`http${n}`]: String(n) })
    const refusals = processes.map(({ app }) => app.shared.stats().refusals)
    expect(Math.max(...refusals)).toBeGreaterThan(0)
  })

  it('lets 25 writers of one session all get through', async () => {
    const retry = { ...RETRY, timeout: 15_000 }
    const processes = await Promise.all(Array.from({ length: 5 }, () => start({ retry })))
    const sid = sidOf(await visitor(processes[0]!))
    await Promise.all(
      Array.from({ length: 25 }, (_, n) =>
        processes[n % 5]!.app.shared.update<any>(sid, (draft) => {
          draft.count = (draft.count ?? 0) + 1
          draft.list = [...(draft.list ?? []), n]
        }),
      ),
    )
    const stored = await kind.stored(sid)
    expect(stored.count).toBe(25)
    expect(stored.list.toSorted((a: number, b: number) => a - b)).toEqual(Array.from({ length: 25 }, (_, n) => n))
  })

  it('does not take a recipe by its word that refused what is not so any more', async () => {
    const [mine, other] = [await start(), await start()]
    const sid = sidOf(await visitor(mine))
    await other.app.shared.update<any>(sid, increment)
    const result: any = await mine.app.shared.update<any>(sid, (draft) => {
      if (!draft.count) throw new Error('nothing there')
      draft.count++
    })
    expect(result.count).toBe(2)
  })

  it('keeps the pushes of two sockets to one array, each once', async () => {
    const processes = [await start(), await start()]
    const first = await visitor(processes[0]!)
    await first.get('/push?value=first')
    const tabs = await Promise.all(processes.map((process) => tab(process, sameVisitor(process, first))))
    for (const [index, { session }] of tabs.entries()) {
      for (let n = 0; n < 5; n++) session.list.push(`${index}:${n}`)
    }
    await Promise.all(processes.map(({ app }) => app.shared.flush()))
    const { list } = await kind.stored(sidOf(first))
    const pushed = tabs.flatMap((_, index) => Array.from({ length: 5 }, (_, n) => `${index}:${n}`))
    expect(list.toSorted()).toEqual([...pushed, 'first'].toSorted())
  })

  it('does not bring back what another process destroyed', async () => {
    const processes = [await start(), await start()]
    const first = await visitor(processes[0]!)
    const sid = sidOf(first)
    const { session, socket } = await tab(processes[1]!, sameVisitor(processes[1]!, first))
    await processes[0]!.app.shared.destroy(sid)
    const told = next(socket, 'session:destroyed')
    session.late = 1
    await told
    await processes[1]!.app.shared.flush()
    expect(await kind.stored(sid)).toBeUndefined()
    expect(await failure(processes[1]!.app.shared.update(sid, () => {}))).toMatchObject({ code: 'SESSION_NOT_FOUND' })
    expect(await kind.stored(sid)).toBeUndefined()
  })

  it('shows its record of commits to nobody', async () => {
    const process = await start()
    const browser = await visitor(process)
    const { session } = await tab(process, browser)
    session.a = 1
    await process.app.shared.flush()
    const { keys, data } = (await browser.get('/cookie')).body
    expect(keys).not.toContain('sharedsession')
    expect(data).not.toHaveProperty('sharedsession')
    expect(JSON.stringify(session)).not.toContain('sharedsession')
    expect(JSON.stringify(process.app.shared.snapshot(sidOf(browser)))).not.toContain('sharedsession')
    expect((await kind.stored(sidOf(browser))).cookie.sharedsession).toMatchObject({ v: 3 })
  })

  describe('round trips of a change that nobody interferes with', () => {
    it('socket: one', async () => {
      const process = await start()
      const { client } = await tab(process, await visitor(process))
      for (const value of [1, 2, 3]) {
        const before = process.proxy.roundTrips
        await client.emitWithAck('set', 'a', value)
        expect(process.proxy.roundTrips - before).toBe(1)
      }
    })

    it('request: one to load, one to save', async () => {
      const process = await start()
      const browser = await visitor(process)
      for (const value of [1, 2]) {
        const before = process.proxy.roundTrips
        await browser.get(`/push?value=${value}`)
        // The third is express-session's touch at the end, as the route has saved before.
        expect(kind.cannotTouch ? [2] : kind.readsAfterTouch ? [3, 4] : [3]).toContain(process.proxy.roundTrips - before)
      }
      // Beyond what requests load themselves.
      expect(process.app.shared.stats()).toMatchObject({ reads: 0 })
    })

    it('update(): one', async () => {
      const process = await start()
      const sid = sidOf(await visitor(process))
      const before = process.proxy.roundTrips
      await process.app.shared.update<any>(sid, increment)
      expect(process.proxy.roundTrips - before).toBe(1)
    })
  })

  describe.each(['request', 'answer'] as const)('a connection that is lost before the %s of a write', (before) => {
    it('socket: a push is there once', async () => {
      const process = await start()
      const browser = await visitor(process)
      const { session } = await tab(process, browser)
      session.list = ['before']
      await process.app.shared.flush()
      const cut = process.proxy.cut(before, kind.isWrite)
      session.list.push('pushed')
      await cut
      session.list.push('meanwhile')
      await process.app.shared.flush()
      expect((await kind.stored(sidOf(browser))).list).toEqual(['before', 'pushed', 'meanwhile'])
      expect([...session.list]).toEqual(['before', 'pushed', 'meanwhile'])
    })

    it('request: a push is there once', async () => {
      const process = await start()
      const browser = await visitor(process)
      const cut = process.proxy.cut(before, kind.isWrite)
      const { body } = await browser.get('/push?value=pushed')
      await cut
      expect(body).toEqual({})
      expect((await kind.stored(sidOf(browser))).list).toEqual(['pushed'])
    })

    it('update(): a push is there once', async () => {
      const process = await start()
      const sid = sidOf(await visitor(process))
      const cut = process.proxy.cut(before, kind.isWrite)
      const result: any = await process.app.shared.update<any>(sid, (draft) => {
        draft.list = [...(draft.list ?? []), 1]
      })
      await cut
      expect(result.list).toEqual([1])
      expect((await kind.stored(sid)).list).toEqual([1])
    })

    it('and another process writes before it is found out: all of it is there once', async () => {
      const [mine, other] = [await start(), await start()]
      const browser = await visitor(mine)
      const sid = sidOf(browser)
      const { session } = await tab(mine, browser)
      session.list = []
      await mine.app.shared.flush()
      const cut = mine.proxy.cut(before, kind.isWrite)
      session.list.push('mine')
      await cut
      await other.app.shared.update<any>(sid, (draft) => void draft.list.push('theirs'))
      await mine.app.shared.flush()
      expect((await kind.stored(sid)).list.toSorted()).toEqual(['mine', 'theirs'])
    })
  })

  it('is OUTCOME_UNKNOWN where others have written so often that nothing tells any more, and is not written again', async () => {
    const [mine, other] = [await start(), await start()]
    const browser = await visitor(mine)
    const sid = sidOf(browser)
    const { session, socket } = await tab(mine, browser)
    session.list = []
    await mine.app.shared.flush()
    const told = next(socket, 'session:error')
    const cut = mine.proxy.cut('answer', kind.isWrite).then(() => mine.proxy.stall())
    session.list.push('pushed')
    await cut
    for (let n = 0; n < 9; n++) await other.app.shared.update<any>(sid, increment)
    mine.proxy.resume()
    expect(await told).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    session.list.push('later')
    await mine.app.shared.flush()
    expect(await kind.stored(sid)).toMatchObject({ list: ['pushed', 'later'], count: 9 })
    await until(() => session.count === 9)
    expect([...session.list]).toEqual(['pushed', 'later'])
  })

  it('an ack of a handler whose write was so lost is not sent, although a later write of it is saved', async () => {
    const [mine, other] = [await start(), await start()]
    const browser = await visitor(mine)
    const sid = sidOf(browser)
    const { client, session, socket } = await tab(mine, browser)
    session.list = []
    await mine.app.shared.flush()
    const told = next(socket, 'session:error')
    const cut = mine.proxy.cut('answer', kind.isWrite).then(() => mine.proxy.stall())
    const answered: unknown[] = []
    const called = new Promise<void>((resolve) => {
      socket.on('work', async (ack) => {
        session.list.push('pushed')
        await told
        session.later = true
        // It tells of the loss, once.
        expect(await failure(session.save!())).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
        await session.save!()
        ack('done')
        resolve()
      })
    })
    client.emit('work', (answer: unknown) => answered.push(answer))
    await cut
    for (let n = 0; n < 9; n++) await other.app.shared.update<any>(sid, increment)
    mine.proxy.resume()
    await called
    // Acks leave in call order: one of the next event would come after it.
    await client.emitWithAck('get')
    expect(answered).toEqual([])
  })

  it('update() and save() of a request that are not answered: OUTCOME_UNKNOWN, and never applied twice', async () => {
    const process = await start({ retry: { ...RETRY, timeout: 500 } })
    const browser = await visitor(process)
    const sid = sidOf(browser)
    process.proxy.stall()
    expect(await failure(process.app.shared.update<any>(sid, increment))).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    process.proxy.resume()
    await until(async () => (await kind.stored(sid)).count === 1)
    const after: any = await process.app.shared.update<any>(sid, increment)
    expect(after.count).toBe(2)
  })

  it('a request that modifies nothing writes nothing, with resave and rolling', async () => {
    const process = await start({}, { resave: true, rolling: true, cookie: { maxAge: 3_600_000 } })
    const browser = await visitor(process)
    const before = await kind.stored(sidOf(browser))
    await browser.get('/session')
    expect(await kind.stored(sidOf(browser))).toEqual(before)
  })

  it('regenerate: the new session is stored, the old one gone, in both processes', async () => {
    const [mine, other] = [await start(), await start()]
    const browser = await visitor(mine)
    const old = sidOf(browser)
    await browser.get('/regenerate')
    expect(await kind.stored(old)).toBeUndefined()
    expect((await sameVisitor(other, browser).get('/session')).body).toMatchObject({ renewed: true })
  })

  it('a store that answers nothing for a while: what was written then is there once', async () => {
    const process = await start({ retry: { ...RETRY, timeout: 500 } })
    const browser = await visitor(process)
    const { session, socket } = await tab(process, browser)
    session.list = ['before']
    await process.app.shared.flush()
    process.proxy.stall()
    session.list.push('stalled')
    const told = await next(socket, 'session:error')
    expect(told).toMatchObject({ code: 'SAVE_FAILED' })
    session.list.push('later')
    process.proxy.resume()
    await process.app.shared.flush().catch(() => undefined)
    await until(async () => (await kind.stored(sidOf(browser))).list.length === 3)
    expect((await kind.stored(sidOf(browser))).list).toEqual(['before', 'stalled', 'later'])
  })
}
