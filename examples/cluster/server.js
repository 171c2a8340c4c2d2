// @ts-check
// Two nodes behind one address.
//   node examples/cluster/server.js               on Redis: REDIS_URL, or a redis-server on the PATH
//   node examples/cluster/server.js --no-redis    Node's cluster module, socket.io's cluster adapter, sessions in files
import { startClustered } from './clustered.js'
import { startOnRedis } from './on-redis.js'

const port = Number(process.env.PORT ?? 3000)
const start = process.argv.includes('--no-redis') ? startClustered : startOnRedis

try {
  const running = await start(port)
  // Workers of the cluster module come here too.
  if (running) {
    console.log(`Two nodes are at http://localhost:${running.port} \u2013 open it in two tabs.`)
    for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => running.stop())
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
