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

it.each([
  ['writes nothing where the session was destroyed while the commit read it', true, 'gone', ['get']],
  ['writes to a session that was made anew under the id of one that has ended', false, 'written', ['get', 'set']],
] as const)('a commit to a store that cannot compare %s', async (_title, endsMeanwhile, outcome, calls) => {
  const store = new ControlledStore()
  store.foreign(SID, { n: 1 })
  const original = new OriginalStore(methodsOf(store))
  const clock = new SessionClock()
  if (!endsMeanwhile) clock.noteEnd(SID, 'destroyed')
  const listener: CommitListener = {
    outgoingMessage: () => undefined,
    onCommitted: () => undefined,
    onMissingInStore: () => undefined,
    onMoved: () => undefined,
    onNewerSnapshot: () => undefined,
    count: () => undefined,
  }
  const committer = new Committer(new GenericDriver(original), original, listener, 1000, clock)
  const transaction: Transaction = {
    origin: 'update',
    mustExist: true,
    rebase: () => ({ snapshot: new Snapshot({ cookie: {}, data: { n: 2 } }), write: true, patches: [] }),
    committed: () => undefined,
    aborted: () => undefined,
  }
  const before = store.calls.length
  // What was read is older than the end.
  const get = store.hold('get', { afterwards: true })
  const committed = committer.commit(SID, transaction)
  await get.called
  if (endsMeanwhile) clock.noteEnd(SID, 'destroyed')
  get.release()
  expect(await committed).toBe(outcome)
  expect(store.calls.slice(before).map(({ method }) => method)).toEqual(calls)
})
