import { it } from 'vitest'
import { startDynalite } from '../support/dynalite.js'
import { withService } from '../support/service.js'
import { holds, seed, TIME_LIMIT } from './holds.js'

await withService('dynalite', startDynalite, (dynalite) => {
  it(
    'connect-dynamodb, three processes: everything acknowledged is there, once, and the destroyed session stays away',
    { timeout: TIME_LIMIT },
    () => holds({ store: 'dynamodb', url: dynalite().url, seed, processes: 3, steps: 8 }),
  )
})
