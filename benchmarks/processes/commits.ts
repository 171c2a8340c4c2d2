// Commits on Postgres, with and without a bus.
import connectPgSimple from 'connect-pg-simple'
import expressSession from 'express-session'
import pg from 'pg'
import { SECRET, sidsOf, storedOf } from '../session.js'
import { serve } from '../worker.js'

type Package = typeof import('../../src/index.js')

export interface CommitsConfig {
  url: string
  bus: boolean
}

const AT_ONCE = 16

export type CommitsOffers = Awaited<ReturnType<typeof open>>

async function open({ url, bus }: CommitsConfig) {
  const { default: sharedsession, postgresBus }: Package = await import(process.env.BENCH_PACKAGE!)
  const pool = new pg.Pool({ connectionString: url, max: AT_ONCE })
  const tableName = `commits_${bus}`
  await pool.query(
    `CREATE TABLE IF NOT EXISTS ${tableName} (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)`,
  )
  const store = new (connectPgSimple(expressSession))({ pool, tableName, pruneSessionInterval: false })
  const session = expressSession({ secret: SECRET, store, resave: false, saveUninitialized: false })
  const shared = sharedsession(session, { bus: bus && postgresBus({ pool }) })
  const sids = sidsOf('commits', AT_ONCE)
  for (const sid of sids) {
    await pool.query(`INSERT INTO ${tableName} VALUES ($1, $2, now() + interval '1 day') ON CONFLICT DO NOTHING`, [
      sid,
      JSON.stringify(storedOf(1000)),
    ])
  }
  return {
    /** Each session committed one after the other, all sessions at once. */
    async commits(ms: number) {
      const start = performance.now()
      let count = 0
      await Promise.all(
        sids.map(async (sid) => {
          while (performance.now() - start < ms) {
            await shared.update(sid, (draft: any) => void draft.n++)
            count++
          }
        }),
      )
      return { count, ms: performance.now() - start, delay: 0 }
    },
  }
}

serve(open)
