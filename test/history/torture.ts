import { parseArgs } from 'node:util'
import { startDynalite } from '../support/dynalite.js'
import { startMariaDb } from '../support/mariadb.js'
import { startMongo } from '../support/mongo.js'
import { startPostgres } from '../support/postgres.js'
import { startRedis } from '../support/redis.js'
import { startSqlite } from '../support/sqlite-modules.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { loses } from './loses.js'
import { Networks } from './networks.js'
import { report } from './report.js'
import { type RunOptions, run } from './run.js'
import type { StoreName } from './stores.js'

// npm run torture -- [--store NAME] [--seed N] [--seconds N | --steps N | --minutes N] [--processes N] [--calm] [--no-merge] [--no-partitions]
//                    [--without-driver]
// NAME is one of stores.ts; without it all of them. --calm: nothing is killed, paused, cut or parted. --minutes: one history after the other,
// of a minute each, with the next seed. Partitions need root on Linux. --without-driver: fails where the checker does not find what is then lost.
const { values } = parseArgs({
  options: {
    store: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    seconds: { type: 'string', default: '60' },
    steps: { type: 'string' },
    minutes: { type: 'string' },
    processes: { type: 'string' },
    calm: { type: 'boolean', default: false },
    'no-merge': { type: 'boolean', default: false },
    'no-partitions': { type: 'boolean', default: false },
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
for (const store of stores) await torture(store)
// The SQLite stores of this process never end: knex has its pool, and better-sqlite3-session-store its timer.
process.exit()

async function torture(store: StoreName): Promise<void> {
  const server = store === 'memory' ? undefined : await SERVERS[store]()
  const processes = store === 'memory' ? 1 : Number(values.processes ?? 3)
  const hasFaults = server !== undefined && !values.calm
  const networks =
    hasFaults && server.port && !values['no-partitions'] && Networks.areAvailable() ? new Networks(processes) : undefined
  const proxy = hasFaults && server.port ? await TcpProxy.start(server.port, networks && '0.0.0.0') : undefined
  const { pause, resume } = server ?? {}
  const options: Omit<RunOptions, 'seed'> = {
    store,
    processes,
    ...(server && { url: server.url }),
    ...(server &&
      proxy && { through: server.url.replace(`:${server.port}`, `:${proxy.port}`).replace('localhost', '127.0.0.1') }),
    ...(networks && { networks }),
    ...(values.steps ? { steps: Number(values.steps) } : { seconds: values.minutes ? 60 : Number(values.seconds) }),
    merge: !values['no-merge'],
    // What a killed process of MemoryStore held is gone with it.
    ...(hasFaults && {
      chaos: {
        kills: true,
        ...(pause && resume && { server: { pause, resume } }),
        ...(proxy && { proxy }),
        ...(networks && { networks }),
      },
    }),
  }
  try {
    if (values.minutes) return await soak(options, Number(values.minutes))
    const one = { ...options, seed: Number(values.seed) }
    if (!values['without-driver']) return void (await history(one))
    const lost = await loses(one)
    console.log(report(lost.outcome, lost.options))
  } finally {
    await proxy?.stop()
    await server?.stop()
    networks?.close()
  }
}

/** @returns how many operations there were */
async function history(options: RunOptions): Promise<number> {
  console.log(`${options.store}: seed ${options.seed} ...`)
  const outcome = await run(options)
  console.log(report(outcome, options))
  if (outcome.violations.length > 0) process.exitCode = 1
  return outcome.history.operations.length
}

/** One history after the other: the checker has to hold each of them. */
async function soak(options: Omit<RunOptions, 'seed'>, minutes: number): Promise<void> {
  const end = performance.now() + minutes * 60_000
  let [seed, operations] = [Number(values.seed), 0]
  for (; performance.now() < end; seed++) operations += await history({ ...options, seed })
  const { store, processes, networks } = options
  const [result, parted] = [process.exitCode ? 'violations, see above' : 'no violation', networks ? 'with' : 'without']
  console.log(
    `${store}, ${processes} processes, ${minutes} minutes, ${parted} partitions, seeds ${values.seed} to ${seed - 1}: ${operations} operations, ${result}`,
  )
}
