import { parseArgs } from 'node:util'
import { startPostgres } from '../support/postgres.js'
import { startRedis } from '../support/redis.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { report } from './report.js'
import { type RunOptions, run } from './run.js'
import type { StoreName } from './stores.js'

// npm run torture -- [--store memory|redis|postgres] [--seed N] [--seconds N | --steps N] [--processes N] [--calm] [--no-merge]
// Without --store: redis, then postgres. --calm: nothing is killed, paused or cut.
const { values } = parseArgs({
  options: {
    store: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    seconds: { type: 'string', default: '60' },
    steps: { type: 'string' },
    processes: { type: 'string' },
    calm: { type: 'boolean', default: false },
    'no-merge': { type: 'boolean', default: false },
  },
})
const stores = values.store ? [values.store as StoreName] : (['redis', 'postgres'] as const)
for (const store of stores) {
  const server = store === 'memory' ? undefined : await (store === 'redis' ? startRedis() : startPostgres())
  const proxy = server && !values.calm ? await TcpProxy.start(server.port) : undefined
  const options: RunOptions = {
    store,
    seed: Number(values.seed),
    processes: store === 'memory' ? 1 : Number(values.processes ?? 3),
    ...(server && { url: server.url }),
    ...(server && proxy && { through: server.url.replace(`:${server.port}`, `:${proxy.port}`) }),
    ...(values.steps ? { steps: Number(values.steps) } : { seconds: Number(values.seconds) }),
    merge: !values['no-merge'],
    // What a killed process of MemoryStore held is gone with it.
    ...(server && proxy && { chaos: { kills: true, server, proxy } }),
  }
  console.log(`${store}: seed ${options.seed} ...`)
  try {
    const outcome = await run(options)
    console.log(report(outcome, options))
    if (outcome.violations.length > 0) process.exitCode = 1
  } finally {
    await proxy?.stop()
    await server?.stop()
  }
}
