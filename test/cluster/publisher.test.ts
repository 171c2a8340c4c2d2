import { expect, it } from 'vitest'
import { ClusterPublisher } from '../../src/cluster/publisher.js'
import type { CommittedChange } from '../../src/store/transaction.js'

it('makes no patches of a commit where no bus publishes them', () => {
  const publisher = new ClusterPublisher({ name: 'memory', compares: true } as never, 1000)
  const next = {
    write: true,
    snapshot: { cookie: {}, history: { v: 1, ids: ['a'] } },
    get patches(): never {
      throw new Error('They were asked for.')
    },
  }
  publisher.publishCommit({ sid: 'sid', origin: 'http', next, from: undefined } as unknown as CommittedChange)
  expect(publisher.published).toBe(0)
})
