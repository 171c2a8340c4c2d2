// Commits on one store: by this package, or by the store's own get and set.
import expressSession from 'express-session'
import { AT_ONCE, DRIVER_STORES, type StoreToOpen } from '../driver-stores.js'
import { SECRET, sidsOf, storedOf } from '../session.js'
import { serve } from '../worker.js'

type Package = typeof import('../../src/index.js')
type DynamoDb = typeof import('../../src/store/drivers/dynamodb/driver.js')

/** Who commits: `shared.update()`, or a get, a change and a set. */
export type Committer = 'sharedsession' | 'by hand'

export interface DriversConfig extends StoreToOpen {
  /** A key of `DRIVER_STORES`. */
  store: string
  committer: Committer
}

export type DriversOffers = Awaited<ReturnType<typeof open>>

async function open({ store: name, committer, ...at }: DriversConfig) {
  const store = await DRIVER_STORES[name]!.open(at)
  const sids = sidsOf('commits', AT_ONCE)
  const set = (sid: string, session: object): Promise<void> =>
    new Promise((resolve, reject) => store.set(sid, session as never, (error) => (error ? reject(error) : resolve())))
  const get = (sid: string): Promise<any> =>
    new Promise((resolve, reject) => store.get(sid, (error, session) => (error ? reject(error) : resolve(session))))
  for (const sid of sids) await set(sid, storedOf(1000))
  let commit = async (sid: string): Promise<void> => {
    const session = await get(sid)
    session.n++
    await set(sid, session)
  }
  let driver = ''
  if (committer === 'sharedsession') {
    const { default: sharedsession }: Package = await import(process.env.BENCH_PACKAGE!)
    const session = expressSession({ secret: SECRET, store, resave: false, saveUninitialized: false })
    const own = name.startsWith('connect-dynamodb') && { driver: await dynamoDb(store) }
    const shared = sharedsession(session, { bus: false, ...own })
    commit = async (sid) => void (await shared.update(sid, (draft: any) => void draft.n++))
    driver = shared.stats().driver
  }
  return {
    /** That this is what was to be measured. */
    driver: () => driver,
    /**
     * @param sessions how many the sixteen writers write to: one each, or all the same one
     * @param inTurn by hand, a writer waits until the one before it is done
     */
    async commits(sessions: number, ms: number, inTurn: boolean) {
      const start = performance.now()
      let count = 0
      const takesTurns = inTurn && committer === 'by hand'
      let turn = Promise.resolve()
      const writer = async (_: unknown, index: number): Promise<void> => {
        while (performance.now() - start < ms) {
          const sid = sids[index % sessions]!
          if (takesTurns) turn = turn.then(() => commit(sid))
          await (takesTurns ? turn : commit(sid))
          count++
        }
      }
      await Promise.all(Array.from({ length: AT_ONCE }, writer))
      return { count, ms: performance.now() - start }
    },
  }
}

async function dynamoDb(store: object) {
  const { dynamodbDriver }: DynamoDb = await import(new URL('dynamodb.js', process.env.BENCH_PACKAGE).href)
  return dynamodbDriver(store)
}

serve(open)
