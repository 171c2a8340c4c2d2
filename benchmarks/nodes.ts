// What a change costs the other nodes: messages and store reads per change. npm run bench:nodes [-- --quick]
import { createClient } from 'redis'
import { TestNode, Visitor } from '../test/nodes/cluster.js'
import { startRedis } from '../test/support/redis.js'
import { until } from '../test/support/wait.js'

const CHANGES = process.argv.includes('--quick') ? 50 : 500

const redis = await startRedis()
const direct = await createClient({ url: redis.url }).connect()
const options = { store: 'redis' as const, url: redis.url }

interface Sum {
  messages: number
  reads: number
}

async function run(count: number, holders: number): Promise<string> {
  const nodes = await Promise.all(Array.from({ length: count }, () => TestNode.start(options)))
  const [writer] = nodes as [TestNode]
  const visitor = new Visitor()
  await visitor.get(writer, '/set?user=ada')
  // The writer first; what is asked for is what the others pay.
  const holding = nodes.slice(0, holders)
  for (const node of holding) await visitor.connect(node)
  for (const node of holding) await until(async () => (await node.call('stats')).reads > 0)
  const receivers = async (): Promise<number> => {
    const channels = await direct.pubSubChannels('sharedsession:*')
    const counts = await direct.pubSubNumSub(channels)
    return Object.values(counts).reduce((sum, n) => sum + n, 0)
  }
  const sum = async (): Promise<Sum> => {
    const stats = await Promise.all(nodes.map((node) => node.call('stats')))
    return {
      // Its own messages come back to a node, and are dropped unread.
      messages: stats.reduce((all, { messages }) => all + messages, 0),
      reads: stats.reduce((all, { reads }) => all + reads, 0),
    }
  }
  const before = await sum()
  for (let n = 1; n <= CHANGES; n++) await writer.call('update', visitor.sid, 'n', n)
  for (const node of holding) await until(async () => (await node.call('snapshot', visitor.sid)).n === CHANGES)
  const after = await sum()
  const subscribed = await receivers()
  visitor.leave()
  await Promise.all(nodes.map((node) => node.kill()))
  const per = (key: keyof Sum): string => ((after[key] - before[key]) / CHANGES).toFixed(2)
  return `| ${count} | ${holders} | ${subscribed} | ${per('messages')} | ${per('reads')} |`
}

console.log(
  '| nodes | of which have a socket of the session | processes that Redis sends the message to | messages heard per change | store reads per change |',
)
console.log('|---|---|---|---|---|')
for (const [count, holders] of [
  [1, 0],
  [1, 1],
  [2, 0],
  [2, 1],
  [2, 2],
  [4, 0],
  [4, 1],
  [4, 4],
] as const) {
  console.log(await run(count, holders))
}
direct.destroy()
await redis.stop()
