import { expect, it } from 'vitest'
import { Committer } from '../../src/store/committer.js'
import { GenericDriver } from '../../src/store/drivers/generic.js'
import { OriginalStore } from '../../src/store/original-store.js'
import { SessionClock } from '../../src/store/session-clock.js'
import { Snapshot } from '../../src/store/snapshot.js'
import type { CommitListener, Transaction } from '../../src/store/transaction.js'
import { ControlledStore } from '../support/controlled-store.js'
import { methodsOf } from './drivers/fixture.js'

const SID = 'a-session'

/** @param missing gets the sessions that are found to be missing */
function committerOf(store: ControlledStore, missing: string[], clock = new SessionClock()): Committer {
  const original = new OriginalStore(methodsOf(store))
  const listener: CommitListener = {
    outgoingMessage: () => undefined,
    onCommitted: () => undefined,
    onMissingInStore: (sid) => missing.push(sid),
    onMoved: () => undefined,
    onNewerSnapshot: () => undefined,
    count: () => undefined,
  }
  return new Committer(new GenericDriver(original), original, listener, 1000, clock)
}

const transaction = (mustExist: boolean): Transaction => ({
  origin: 'update',
  mustExist,
  isNew: !mustExist,
  rebase: () => ({ snapshot: new Snapshot({ cookie: {}, data: { n: 2 } }), write: true, patches: [] }),
  committed: () => undefined,
  aborted: () => undefined,
})

it.each([
  ['writes nothing where the session was destroyed while the commit read it', true, 'gone', ['get']],
  ['writes to a session that was made anew under the id of one that has ended', false, 'written', ['get', 'set']],
] as const)('a commit to a store that cannot compare %s', async (_title, endsMeanwhile, outcome, calls) => {
  const store = new ControlledStore()
  store.foreign(SID, { n: 1 })
  const clock = new SessionClock()
  if (!endsMeanwhile) clock.noteEnd(SID, 'destroyed')
  const committer = committerOf(store, [], clock)
  const before = store.calls.length
  // What was read is older than the end.
  const get = store.hold('get', { afterwards: true })
  const committed = committer.commit(SID, transaction(true))
  await get.called
  if (endsMeanwhile) clock.noteEnd(SID, 'destroyed')
  get.release()
  expect(await committed).toBe(outcome)
  expect(store.calls.slice(before).map(({ method }) => method)).toEqual(calls)
})

it('a commit to a session that must be there finds nothing missing where the read fails that would tell the outcome of its first write', async () => {
  const store = new ControlledStore()
  const missing: string[] = []
  const committer = committerOf(store, missing)
  const first = store.hold('set', { afterwards: true })
  for (let time = 0; time < 2; time++) store.fail('get')
  const created = committer.commit(SID, transaction(false))
  await first.called
  first.fail()
  await expect(created).rejects.toThrow('the store failed')
  await expect(committer.commit(SID, transaction(true))).rejects.toThrow('the store failed')
  expect(missing).toEqual([])
  expect(await committer.commit(SID, transaction(true))).toBe('written')
})
