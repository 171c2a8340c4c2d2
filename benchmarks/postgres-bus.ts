// What NOTIFY with every write costs on Postgres, in commits per second. npm run bench:postgres-bus [-- --quick]
import connectPgSimple from 'connect-pg-simple'
import expressSession from 'express-session'
import pg from 'pg'
import sharedsession, { postgresBus, type SharedSession } from '../src/index.js'
import { startPostgres } from '../test/support/postgres.js'

const quick = process.argv.includes('--quick')
const ROUNDS = quick ? 3 : 11
const COMMITS = quick ? 300 : 2000
const AT_ONCE = 16

const postgres = await startPostgres()
const pool = new pg.Pool({ connectionString: postgres.url, max: AT_ONCE })
await pool.query('CREATE TABLE session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)')

function open(bus: 'none' | 'notify'): SharedSession {
  const store = new (connectPgSimple(expressSession))({ pool, pruneSessionInterval: false })
  const session = expressSession({ secret: 'secret', store, resave: false, saveUninitialized: false })
  return sharedsession(session, { bus: bus === 'none' ? false : postgresBus({ pool }) })
}

const ways: Record<string, SharedSession> = { 'no bus': open('none'), 'NOTIFY with the write': open('notify') }

async function perSecond(shared: SharedSession): Promise<number> {
  const sids = Array.from({ length: AT_ONCE }, (_, n) => `bench${n}`)
  for (const sid of sids) {
    await pool.query("INSERT INTO session VALUES ($1, $2, now() + interval '1 day') ON CONFLICT DO NOTHING", [
      sid,
      JSON.stringify({ cookie: { originalMaxAge: null, expires: null }, profile: 'x'.repeat(1000) }),
    ])
  }
  const start = performance.now()
  let n = 0
  await Promise.all(
    sids.map(async (sid) => {
      while (n++ < COMMITS) {
        await shared.update(sid, (draft: any) => {
          draft.n = n
        })
      }
    }),
  )
  return COMMITS / ((performance.now() - start) / 1000)
}

for (const shared of Object.values(ways)) await perSecond(shared)
const results: Record<string, number[]> = {}
for (let round = 0; round < ROUNDS; round++) {
  const names = Object.keys(ways)
  if (round % 2) names.reverse()
  for (const name of names) {
    results[name] ??= []
    results[name].push(await perSecond(ways[name]!))
  }
}
const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
const bare = median(results['no bus']!)
console.log(`${AT_ONCE} sessions of 1 kB, one commit of each at a time; medians of ${ROUNDS} rounds of ${COMMITS} commits`)
for (const [name, values] of Object.entries(results)) {
  const ratio = values.map((value, round) => value / results['no bus']![round]!)
  const spread = `${Math.min(...ratio).toFixed(2)} to ${Math.max(...ratio).toFixed(2)}`
  console.log(
    `${name.padEnd(24)} ${median(values).toFixed(0).padStart(7)} commits/s   ${(median(values) / bare).toFixed(2)} (${spread})`,
  )
}
for (const shared of Object.values(ways)) await shared.close()
await pool.end()
await postgres.stop()
