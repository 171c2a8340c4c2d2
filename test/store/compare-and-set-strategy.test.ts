import { MemoryStore } from 'express-session'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { diff } from '../../src/document/patch.js'
import { Committer } from '../../src/store/committer.js'
import { ContractDriver } from '../../src/store/drivers/contract-driver.js'
import { MemoryDriver, textsOfMemoryStore } from '../../src/store/drivers/memory.js'
import type { StoreDriver } from '../../src/store/drivers/store-driver.js'
import { OriginalStore } from '../../src/store/original-store.js'
import { Snapshot } from '../../src/store/snapshot.js'
import type { CommitListener, Transaction } from '../../src/store/transaction.js'
import { deferred, until } from '../support/wait.js'
import { methodsOf } from './drivers/fixture.js'

const SID = 'a-session'

describe('a lost compare-and-set', () => {
  let store: MemoryStore & { sessions: Record<string, string> }
  let counts: Record<string, number>
  let committer: Committer

  beforeEach(() => {
    store = new MemoryStore() as typeof store
    counts = {}
    const listener: CommitListener = {
      outgoingMessage: () => undefined,
      onCommitted: () => undefined,
      onMissingInStore: () => undefined,
      onMoved: () => undefined,
      onNewerSnapshot: () => undefined,
      count(what) {
        counts[what] = (counts[what] ?? 0) + 1
      },
    }
    committer = new Committer(
      new ContractDriver(new MemoryDriver(textsOfMemoryStore(store))),
      new OriginalStore(methodsOf(store)),
      listener,
      1000,
    )
    put({ n: 1 })
  })
  afterEach(() => vi.restoreAllMocks())

  /** As another process would write it. */
  function put(data: object): void {
    store.sessions[SID] = JSON.stringify({ cookie: { path: '/' }, ...data })
  }
  const stored = () => JSON.parse(store.sessions[SID]!)

  /** Sets a key on what the store holds. @param before is called before each write is sent */
  function setting(key: string, value: number, before: () => void): Transaction & { bases: unknown[]; ends: string[] } {
    const bases: unknown[] = []
    const ends: string[] = []
    return {
      bases,
      ends,
      origin: 'update',
      mustExist: true,
      rebase(current) {
        bases.push(current!.data)
        const data = { ...current!.data, [key]: value }
        const proposal = {
          snapshot: new Snapshot({ cookie: current!.cookie, data }),
          write: true,
          patches: diff(current!.data, data),
        }
        before()
        return proposal
      },
      committed: () => void ends.push('committed'),
      aborted: () => void ends.push('aborted'),
    }
  }

  it('is rebased on what the faster process wrote, without a read, and both writes are in the store', async () => {
    let raced = false
    const transaction = setting('mine', 1, () => {
      if (!raced) put({ n: 1, theirs: 1 })
      raced = true
    })
    expect(await committer.commit(SID, transaction)).toBe('written')
    expect(stored()).toMatchObject({ n: 1, mine: 1, theirs: 1 })
    expect(transaction.bases).toEqual([{ n: 1 }, { n: 1, theirs: 1 }])
    expect(transaction.ends).toEqual(['aborted', 'committed'])
    expect(counts).toEqual({ reads: 1, writes: 2, refusals: 1 })
  })

  it('is given up after ten seconds with STORE_TIMEOUT, and nothing of it is written', async () => {
    let now = 0
    vi.spyOn(performance, 'now').mockImplementation(() => now)
    let theirs = 0
    const transaction = setting('mine', 1, () => {
      now += 3000
      put({ n: 1, theirs: ++theirs })
    })
    const error = { code: 'STORE_TIMEOUT', message: expect.stringContaining('Others wrote this session faster') }
    await expect(committer.commit(SID, transaction)).rejects.toMatchObject(error)
    expect(stored()).toEqual({ cookie: { path: '/' }, n: 1, theirs: 4 })
    expect(transaction.ends).toEqual(['aborted', 'aborted', 'aborted', 'aborted'])
  })
})

describe('a write whose answer comes too late, and whose outcome nobody else finds out', () => {
  const held = deferred<void>()

  function slowly(driver: StoreDriver): StoreDriver {
    return {
      name: 'slow',
      read: (sid) => driver.read(sid),
      async write(...args) {
        await held.promise
        return driver.write(...args)
      },
      touch: (...args) => driver.touch(...args),
      destroy: (sid) => driver.destroy(sid),
    }
  }

  it('is reported at once and when it has come, so that what is live here is read again', async () => {
    const store = new MemoryStore() as MemoryStore & { sessions: Record<string, string> }
    store.sessions[SID] = JSON.stringify({ cookie: { path: '/' }, n: 1 })
    const seen: unknown[] = []
    const listener = {
      ...{ outgoingMessage: () => undefined, onCommitted: () => undefined, onMissingInStore: () => undefined },
      ...{ onMoved: () => undefined, onNewerSnapshot: () => undefined, count: () => undefined },
      mayHaveWritten: (sid: string) => void seen.push([sid, JSON.parse(store.sessions[sid]!).n]),
    }
    const slow = new Committer(
      new ContractDriver(slowly(new MemoryDriver(textsOfMemoryStore(store)))),
      new OriginalStore(methodsOf(store)),
      listener,
      10,
    )
    const commit = slow.commit(SID, {
      origin: 'update',
      mustExist: true,
      rebase: (current) => ({
        snapshot: new Snapshot({ cookie: current!.cookie, data: { n: 2 } }),
        write: true,
        patches: [],
      }),
      committed: () => undefined,
      aborted: () => undefined,
    })
    await expect(commit).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    expect(seen).toEqual([[SID, 1]])
    held.resolve()
    await until(() => seen.length > 1)
    expect(seen).toEqual([
      [SID, 1],
      [SID, 2],
    ])
  })
})

it('a write with a message is not made by `writeNow`, which takes none', async () => {
  const store = new MemoryStore() as MemoryStore & { sessions: Record<string, string> }
  const memory = new MemoryDriver(textsOfMemoryStore(store))
  const sent: unknown[] = []
  const driver: StoreDriver = {
    name: 'publishing',
    read: (sid) => memory.read(sid),
    readNow: (sid) => memory.readNow(sid),
    writeNow: (...args) => memory.writeNow(...args),
    write(sid, next, expected, message) {
      sent.push(message)
      return memory.write(sid, next, expected)
    },
    touch: (...args) => memory.touch(...args),
    destroy: (sid) => memory.destroy(sid),
  }
  let message: { topic: string; text: string } | undefined
  const listener: CommitListener = {
    ...{ outgoingMessage: () => message, onCommitted: () => undefined, onMissingInStore: () => undefined },
    ...{ onMoved: () => undefined, onNewerSnapshot: () => undefined, count: () => undefined },
  }
  const committer = new Committer(new ContractDriver(driver), new OriginalStore(methodsOf(store)), listener, 1000)
  const write = (n: number) =>
    committer.commit(SID, {
      origin: 'update',
      mustExist: false,
      rebase: () => ({ snapshot: new Snapshot({ cookie: { path: '/' } as never, data: { n } }), write: true, patches: [] }),
      committed: () => undefined,
      aborted: () => undefined,
    })
  expect(await write(1)).toBe('written')
  expect(sent).toEqual([])
  message = { topic: 'topic', text: 'text' }
  expect(await write(2)).toBe('written')
  expect(sent).toEqual([message])
})
