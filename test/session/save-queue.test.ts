import { expect, it } from 'vitest'
import { SharedSessionError } from '../../src/index.js'
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
