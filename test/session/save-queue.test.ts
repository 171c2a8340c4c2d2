import { expect, it } from 'vitest'
import { SharedSessionError } from '../../src/errors.js'
import { SaveQueue } from '../../src/session/save-queue.js'
import { turns } from '../support/live.js'

it('a save that fails after the session has ended is not reported as a failure', async () => {
  const failures: unknown[] = []
  const queue = new SaveQueue(
    {
      async save() {
        queue.stop(new SharedSessionError('SESSION_ENDED', 'ended'))
        throw new Error('late')
      },
      activeChanged() {},
      retrying() {},
      gaveUp: (error) => failures.push(error),
    },
    { attempts: 1, minDelay: 1, maxDelay: 1, timeout: 100 },
  )
  queue.request(1)
  await expect(queue.whenSaved(1)).rejects.toMatchObject({ code: 'SESSION_ENDED' })
  await turns(5)
  await expect(queue.whenSaved(2)).rejects.toMatchObject({ code: 'SESSION_ENDED' })
  queue.request(2)
  expect(failures).toEqual([])
  expect(queue.active).toBe(false)
})

it('a write that came while a save waited for its turn fails with that save, if nobody knows its outcome', async () => {
  let saves = 0
  const queue: SaveQueue = new SaveQueue(
    {
      async save() {
        // There is nothing left to save after the first time: the document has what was lost.
        if (saves++ > 0) return queue.markSaved(2)
        queue.request(2)
        await turns(1)
        queue.failsUpTo(2)
        throw new SharedSessionError('OUTCOME_UNKNOWN', 'unknown')
      },
      activeChanged() {},
      retrying() {},
      gaveUp() {},
    },
    { attempts: 3, minDelay: 1, maxDelay: 1, timeout: 100 },
  )
  queue.request(1)
  await expect(queue.whenSaved(2)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' })
})
