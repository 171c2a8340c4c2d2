import { expect, it } from 'vitest'
import { startMongo } from '../support/mongo.js'
import { withService } from '../support/service.js'
import { holds, seed, TIME_LIMIT } from './holds.js'
import { run } from './run.js'

await withService('MongoDB', startMongo, (mongo) => {
  const url = (): string => mongo().url

  it.each(['connect-mongo', 'connect-mongo-documents', 'connect-mongodb-session'] as const)(
    '%s, three processes: everything acknowledged is there, once, and the destroyed session stays away',
    { timeout: TIME_LIMIT },
    async (store) => void (await holds({ store, url: url(), seed, processes: 3, steps: 15 })),
  )

  it('connect-mongo, three processes without its driver: the checker finds what was lost', { timeout: TIME_LIMIT }, async () => {
    const outcome = await run({ store: 'connect-mongo', url: url(), seed, processes: 3, steps: 10, driver: 'generic' })
    expect(outcome.violations).not.toEqual([])
  })
})
