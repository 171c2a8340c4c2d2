import { it } from 'vitest'
import { startMongo } from '../support/mongo.js'
import { withService } from '../support/service.js'
import { holds, losesWithoutDriver, seed, TIME_LIMIT } from './holds.js'

const STORES = ['connect-mongo', 'connect-mongo-documents', 'connect-mongodb-session'] as const

await withService('MongoDB', startMongo, (mongo) => {
  const url = (): string => mongo().url

  it.each(STORES)(
    '%s, three processes: everything acknowledged is there, once, and the destroyed session stays away',
    { timeout: TIME_LIMIT },
    async (store) => void (await holds({ store, url: url(), seed, processes: 3, steps: 15 })),
  )

  losesWithoutDriver('connect-mongo', url)
})
