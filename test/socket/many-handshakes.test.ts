import { afterEach, describe, expect, it } from 'vitest'
import { SharedSessionError } from '../../src/index.js'
import { LocalSessions } from '../../src/session/local-sessions.js'
import { FailedSaves } from '../../src/session/registry.js'
import type { SessionReplica } from '../../src/session/replica.js'
import { Committer } from '../../src/store/committer.js'
import { GenericDriver } from '../../src/store/drivers/generic.js'
import { OriginalStore } from '../../src/store/original-store.js'
import { Snapshot } from '../../src/store/snapshot.js'
import type { CommitListener, Transaction } from '../../src/store/transaction.js'
import { methodsOf } from '../store/drivers/fixture.js'
import { closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { failure } from '../support/live.js'
import { sidOf } from '../support/sid.js'
import { until } from '../support/wait.js'
import { expectWarning } from '../support/warnings.js'

afterEach(closeApps)

const MANY = 25

describe('many handshakes', () => {
  /** What they cost the store, and what is left when their sockets have gone. */
  async function cost(cookies: (string | undefined)[], before: (store: ControlledStore) => void = () => undefined) {
    const store = new ControlledStore()
    const app = await startApp({ store })
    // The store is seen at the first of them, which is loaded twice.
    await app.browser().connect()
    before(store)
    const calls = store.calls.length
    const clients = await Promise.all(
      cookies.map((cookie) => {
        const browser = app.browser()
        browser.cookie = cookie
        return browser.connect()
      }),
    )
    const during = app.shared.stats()
    const cost = store.calls.slice(calls).map(({ method }) => method)
    for (const client of clients) client.disconnect()
    await until(() => app.io.of('/').sockets.size === 1)
    await until(() => app.shared.stats().sockets === 1)
    return { during, cost, after: app.shared.stats(), stored: store.ids() }
  }

  /** Cookies of sessions that were stored, and are gone. */
  async function genuine(): Promise<string[]> {
    const app = await startApp()
    const cookies = await Promise.all(
      Array.from({ length: MANY }, async () => {
        const browser = app.browser()
        await browser.get('/set?user=ada')
        return browser.cookie as string
      }),
    )
    await app.close()
    return cookies
  }

  it('without a cookie: no call of the store, nothing stored, nothing kept in memory', async () => {
    const { cost: calls, during, after, stored } = await cost(Array.from({ length: MANY }, () => undefined))
    expect(calls).toEqual([])
    expect(during).toMatchObject({ sessions: MANY + 1, sockets: MANY + 1 })
    expect(after).toMatchObject({ sessions: 1, sockets: 1 })
    expect(stored).toEqual([])
  })

  it('with unsigned ids: no call of the store, nothing stored, nothing kept in memory', async () => {
    const forged = (await genuine()).map((cookie, n) => (n % 2 ? `connect.sid=${n}` : `${cookie}x`))
    const { cost: calls, after, stored } = await cost(forged)
    expect(calls).toEqual([])
    expect(after).toMatchObject({ sessions: 1, sockets: 1 })
    expect(stored).toEqual([])
  })

  it('with old cookies, whose sessions are gone: two reads each, and a new session that is not stored', async () => {
    const { cost: calls, after, stored } = await cost(await genuine())
    expect(calls).toEqual(Array.from({ length: 2 * MANY }, () => 'get'))
    expect(after).toMatchObject({ sessions: 1, sockets: 1 })
    expect(stored).toEqual([])
  })

  it('with one genuine cookie: one session in memory', async () => {
    const [cookie] = await genuine()
    const sid = sidOf({ cookie } as never)
    const all = Array.from({ length: MANY }, () => cookie)
    const { during, after } = await cost(all, (store) => store.foreign(sid, { user: 'ada' }))
    expect(during).toMatchObject({ sessions: 2, sockets: MANY + 1 })
    expect(after).toMatchObject({ sessions: 1, sockets: 1 })
  })

  it('of HTTP requests keep nothing in memory', async () => {
    const store = new ControlledStore()
    const app = await startApp({ store })
    await Promise.all(Array.from({ length: MANY }, () => app.browser().get('/set?user=ada')))
    expect(store.ids()).toHaveLength(MANY)
    expect(app.shared.stats()).toMatchObject({ sessions: 0, sockets: 0 })
  })
})

/** The others: test/store/session-clock.test.ts (commits and ends), test/store/cookie.test.ts (changed cookies), test/store/commit-history.test.ts (what is stored). */
describe('what is kept for each session id is bounded', () => {
  it('sessions that could not be saved: the oldest are dropped, with one error, and flush() reports it', async () => {
    const warnings = expectWarning('More than 10000 sessions, or 100 MB of them, could not be saved')
    const unsaved = new FailedSaves()
    const asked: number[] = []
    const error = new SharedSessionError('SAVE_FAILED', 'it failed')
    for (let n = 0; n <= 10_001; n++) {
      const live = { save: async () => void asked.push(n) }
      unsaved.add(live as unknown as SessionReplica, { error, isKept: true })
      unsaved.add(live as unknown as SessionReplica, { error, isKept: true })
    }
    const thrown = await failure(Promise.resolve().then(() => unsaved.assertNone()))
    expect(thrown.message).toMatch(/^Of 10000 session\(s\).* The changes of 2 session\(s\) .* dropped\.$/)
    unsaved.retry()
    expect([asked.length, asked[0], asked.at(-1)]).toEqual([10_000, 2, 10_001])
    expect(() => unsaved.assertNone()).not.toThrow()
    await until(() => warnings.length > 0)
    expect(warnings).toHaveLength(1)
  })

  it('indeterminate writes: the oldest count as lost', async () => {
    const store = new ControlledStore()
    const raw = new OriginalStore(methodsOf(store))
    const listener = { onCommitted: () => undefined, count: () => undefined }
    const commits = new Committer(new GenericDriver(raw), raw, listener as unknown as CommitListener, 1000)
    const ends: string[] = []
    const write = async (sid: string, comesAgain: boolean): Promise<void> => {
      store.pass('get', sid)
      store.fail('set', undefined, sid)
      store.fail('get', undefined, sid)
      const writer: Transaction = {
        origin: 'http',
        mustExist: false,
        rebase: () => ({ snapshot: new Snapshot({ cookie: {}, data: {} }), write: true, patches: [] }),
        committed: () => ends.push(`${sid} written`),
        aborted: () => ends.push(`${sid} failed`),
        ...(comesAgain && { outcomeUnknown: () => ends.push(`${sid} lost`) }),
      }
      await failure(commits.commit(sid, writer))
    }
    await write('first', true)
    await write('second', false)
    for (let n = 0; n < 999; n++) await write(`${n}`, false)
    expect(ends).toEqual(['first lost'])
    await write('last', false)
    expect(ends).toEqual(['first lost', 'second failed'])
    expect([commits.isBusy('first'), commits.isBusy('last')]).toEqual([false, true])
  })

  it('remembers the last 10,000 reported ends', () => {
    const sessions = new LocalSessions()
    const { reportedEnds } = sessions
    for (let n = 0; n <= 10_000; n++) sessions.noteReportedEnd(`${n}`, { reason: 'destroyed', after: undefined })
    expect(reportedEnds.has('0')).toBe(false)
    expect(reportedEnds.get('1')).toMatchObject({ reason: 'destroyed' })
    expect(reportedEnds.size).toBe(10_000)
  })
})
