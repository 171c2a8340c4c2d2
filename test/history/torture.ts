import { parseArgs } from 'node:util'
import { startDynalite } from '../support/dynalite.js'
import { startMariaDb } from '../support/mariadb.js'
import { startMongo } from '../support/mongo.js'
import { startPostgres } from '../support/postgres.js'
import { startRedis } from '../support/redis.js'
import { startSqlite } from '../support/sqlite-modules.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { loses } from './loses.js'
import { report } from './report.js'
import { type RunOptions, run } from './run.js'
import type { StoreName } from './stores.js'

// npm run torture -- [--store NAME] [--seed N] [--seconds N | --steps N] [--processes N] [--calm] [--no-merge] [--without-driver]
// NAME is one of stores.ts; without it all of them. --calm: nothing is killed, paused or cut.
// --without-driver: fails where the checker does not find what is then lost.
const { values } = parseArgs({
  options: {
    store: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    seconds: { type: 'string', default: '60' },
    steps: { type: 'string' },
    processes: { type: 'string' },
    calm: { type: 'boolean', default: false },
    'no-merge': { type: 'boolean', default: false },
    'without-driver': { type: 'boolean', default: false },
  },
})
/** How their servers are started. SQLite has none. */
const SERVERS: Record<Exclude<StoreName, 'memory'>, () => Promise<Server>> = {
  redis: startRedis,
  'connect-redis-6': startRedis,
  'connect-redis-5': startRedis,
  'connect-redis-4': startRedis,
  postgres: startPostgres,
  'knex-postgres': startPostgres,
  'knex-mariadb': startMariaDb,
  'express-mysql-session': startMariaDb,
  'sequelize-mariadb': startMariaDb,
  'sequelize-postgres': startPostgres,
  'better-sqlite3': startSqlite,
  'connect-sqlite3': startSqlite,
  'knex-sqlite': startSqlite,
  'sequelize-sqlite': startSqlite,
  'connect-mongo': startMongo,
  'connect-mongo-documents': startMongo,
  'connect-mongodb-session': startMongo,
  dynamodb: startDynalite,
}

interface Server {
  port?: number
  url: string
  pause?(): void
  resume?(): void
  stop(): Promise<void>
}

const stores = values.store ? [values.store as StoreName] : (Object.keys(SERVERS) as StoreName[])
for (const store of stores) {
  const server = store === 'memory' ? undefined : await SERVERS[store]()
  const proxy = server?.port && !values.calm ? await TcpProxy.start(server.port) : undefined
  const { pause, resume } = server ?? {}
  const options: RunOptions = {
    store,
    seed: Number(values.seed),
    processes: store === 'memory' ? 1 : Number(values.processes ?? 3),
    ...(server && { url: server.url }),
    ...(server && proxy && { through: server.url.replace(`:${server.port}`, `:${proxy.port}`) }),
    ...(values.steps ? { steps: Number(values.steps) } : { seconds: Number(values.seconds) }),
    merge: !values['no-merge'],
    // What a killed process of MemoryStore held is gone with it.
    ...(server &&
      !values.calm && { chaos: { kills: true, ...(pause && resume && { server: { pause, resume } }), ...(proxy && { proxy }) } }),
  }
  console.log(`${store}: seed ${options.seed} ...`)
  try {
    if (values['without-driver']) {
      const lost = await loses(options)
      console.log(report(lost.outcome, lost.options))
    } else {
      const outcome = await run(options)
      console.log(report(outcome, options))
      if (outcome.violations.length > 0) process.exitCode = 1
    }
  } finally {
    await proxy?.stop()
    await server?.stop()
  }
}
// The SQLite stores of this process never end: knex has its pool, and better-sqlite3-session-store its timer.
process.exit()
