import { expect, it } from 'vitest'
import { SharedSessionError } from '../../src/index.js'
import { SaveQueue } from '../../src/session/save-queue.js'
import { turns } from '../support/live.js'

it('a save that fails after the session has ended is no failure of anybody', async () => {
  const failures: unknown[] = []
  const saver = new SaveQueue(
    {
      async write() {
        saver.stop(new SharedSessionError('SESSION_ENDED', 'ended'))
        throw new Error('late')
      },
      updatePin() {},
      retrying() {},
      unsaved: (error) => failures.push(error),
    },
    { attempts: 1, minDelay: 1, maxDelay: 1, timeout: 100 },
  )
  saver.request(1)
  await expect(saver.whenSaved(1)).rejects.toMatchObject({ code: 'SESSION_ENDED' })
  await turns(5)
  await expect(saver.whenSaved(2)).rejects.toMatchObject({ code: 'SESSION_ENDED' })
  saver.request(2)
  expect(failures).toEqual([])
  expect(saver.active).toBe(false)
})
