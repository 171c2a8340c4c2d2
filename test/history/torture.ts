import { parseArgs } from 'node:util'
import { MUTANTS } from '../simulation/mutants/mutants.js'
import { RedisStore10 } from '../support/connect-redis10.js'
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
import { soak } from './soak.js'
import type { ServedStoreName, StoreName } from './stores.js'

// npm run torture -- [--store NAME] [--seed N] [--seconds N | --steps N] [--minutes N [--sessions N]] [--processes N] [--calm] [--no-merge]
//                    [--no-partitions] [--without-driver] [--mutant NAME]
// NAME is one of stores.ts; without it all of them. --calm: nothing is killed, paused, cut or parted. --minutes: many sessions at once, each for
// --seconds with a seed of its own, on the same processes. Partitions need root on Linux. --without-driver: fails where the checker does not find
// what is then lost. --mutant: with a mistake in the sources, one of simulation/mutants.
const { values } = parseArgs({
  options: {
    store: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    seconds: { type: 'string', default: '60' },
    steps: { type: 'string' },
    minutes: { type: 'string' },
    sessions: { type: 'string', default: '8' },
    mutant: { type: 'string' },
    processes: { type: 'string' },
    calm: { type: 'boolean', default: false },
    'no-merge': { type: 'boolean', default: false },
    'no-partitions': { type: 'boolean', default: false },
    'without-driver': { type: 'boolean', default: false },
  },
})
/** How their servers are started. SQLite has none. */
const SERVERS: Record<ServedStoreName, () => Promise<Server>> = {
  redis: startRedis,
  'connect-redis-10': startRedis,
  'connect-redis-8': startRedis,
  'connect-redis-6': startRedis,
  'connect-redis-6-legacy-mode': startRedis,
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

const mutant = values.mutant ? MUTANTS.find(({ name }) => name === values.mutant) : undefined
if (values.mutant && !mutant) throw new Error(`There is no such mutant: ${values.mutant}`)
/** What has to be stopped and removed, also where the run is interrupted. */
const leftovers: (() => unknown)[] = []
async function clean(): Promise<void> {
  for (const remove of leftovers.splice(0).reverse()) await remove()
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void clean().finally(() => process.exit(130)))

// connect-redis 10 is only there on Node 22.
const all = (Object.keys(SERVERS) as StoreName[]).filter((name) => name !== 'connect-redis-10' || RedisStore10)
const stores = values.store ? [values.store as StoreName] : all
for (const store of stores) await torture(store)
// The SQLite stores of this process never end: knex has its pool, and better-sqlite3-session-store its timer.
process.exit()

async function torture(store: StoreName): Promise<void> {
  const server = store === 'memory' ? undefined : await SERVERS[store]()
  leftovers.push(() => server?.stop())
  const processes = store === 'memory' ? 1 : Number(values.processes ?? 3)
  const hasFaults = server !== undefined && !values.calm
  const networks =
    hasFaults && server.port && !values['no-partitions'] && Networks.areAvailable() ? new Networks(processes) : undefined
  const proxy = hasFaults && server.port ? await TcpProxy.start(server.port, networks && '0.0.0.0') : undefined
  leftovers.push(
    () => networks?.close(),
    () => proxy?.stop(),
  )
  const { pause, resume } = server ?? {}
  const options: Omit<RunOptions, 'seed'> = {
    store,
    processes,
    ...(server && { url: server.url }),
    ...(server &&
      proxy && { through: server.url.replace(`:${server.port}`, `:${proxy.port}`).replace('localhost', '127.0.0.1') }),
    ...(networks && { networks }),
    ...(values.steps ? { steps: Number(values.steps) } : { seconds: Number(values.seconds) }),
    ...(mutant && { mutant }),
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
    const one = { ...options, seed: Number(values.seed) }
    if (values.minutes) return await manySessions(one, Number(values.minutes))
    if (!values['without-driver']) return await history(one)
    const lost = await loses(one)
    console.log(report(lost.outcome, lost.options))
  } finally {
    await clean()
  }
}

async function history(options: RunOptions): Promise<void> {
  console.log(`${options.store}: seed ${options.seed} ...`)
  const outcome = await run(options)
  console.log(report(outcome, options))
  if (outcome.violations.length > 0) process.exitCode = 1
}

async function manySessions(options: RunOptions, minutes: number): Promise<void> {
  const { store, processes, networks, seed } = options
  const [sessions, seconds] = [Number(values.sessions), Number(values.seconds)]
  const totals = await soak({ ...options, minutes, sessions, seconds }, (text) => console.log(text))
  const { histories, operations, acknowledged, refusals, violations, trouble } = totals
  const { kills = 0, pauses = 0, cuts = 0, partitions = 0 } = trouble ?? {}
  console.log(
    `${store}, ${processes} processes, ${minutes} minutes, ${networks ? 'with' : 'without'} partitions, ${sessions} sessions at once, seeds ${seed} to ${seed + histories - 1}:`,
    `${operations} operations, ${acknowledged} acknowledged, ${refusals} writes done again,`,
    `${kills} kills, ${pauses} pauses, ${cuts} cuts, ${partitions} partitions, ${violations || 'no'} violations`,
  )
  if (violations > 0) process.exitCode = 1
}
