import { createClient } from 'redis'
import { TestNode, Visitor } from '../../test/nodes/cluster.js'
import { until } from '../../test/support/wait.js'
import type { Part } from '../part.js'

export const nodes: Part = {
  name: 'nodes',
  title: 'What a change costs the other nodes',
  about: 'One node changes a session again and again. These are counts, and the same in every run.',
  async run(bench) {
    const cases = [
      [1, 1],
      [2, 0],
      [2, 1],
      [2, 2],
      [4, 0],
      [4, 1],
      [4, 4],
    ] as const
    const rows: string[][] = []
    for (const [count, holders] of bench.quick ? cases.slice(3, 4) : cases) {
      bench.progress(`${count} nodes, ${holders} with a socket`)
      rows.push(await measure(bench.urls.redis, count, holders, bench.quick ? 20 : 200))
    }
    const head = [
      'nodes',
      'with a socket of the session',
      'processes that Redis sends the message to',
      'messages heard per change',
      'store reads per change',
    ]
    return { figures: [], tables: [{ caption: 'Redis', head, rows }], charts: [] }
  },
}

async function measure(url: string, count: number, holders: number, changes: number): Promise<string[]> {
  const direct = await createClient({ url }).connect()
  const nodes = await Promise.all(Array.from({ length: count }, () => TestNode.start({ store: 'redis', url })))
  const visitor = new Visitor()
  try {
    const writer = nodes[0]!
    await visitor.get(writer, '/set?user=ada')
    const holding = nodes.slice(0, holders)
    for (const node of holding) await visitor.connect(node)
    for (const node of holding) await until(async () => (await node.call('stats')).sockets > 0)
    const sum = async (key: 'messages' | 'reads'): Promise<number> => {
      const stats = await Promise.all(nodes.map((node) => node.call('stats')))
      return stats.reduce((all, each) => all + each[key], 0)
    }
    const before = { messages: await sum('messages'), reads: await sum('reads') }
    for (let n = 1; n <= changes; n++) await writer.call('update', visitor.sid, 'n', n)
    for (const node of holding) await until(async () => (await node.call('snapshot', visitor.sid)).n === changes)
    const per = async (key: 'messages' | 'reads'): Promise<string> => (((await sum(key)) - before[key]) / changes).toFixed(2)
    const channels = await direct.pubSubChannels('sharedsession:*')
    const receivers = Object.values(await direct.pubSubNumSub(channels)).reduce((all, n) => all + n, 0)
    return [String(count), String(holders), String(receivers), await per('messages'), await per('reads')]
  } finally {
    visitor.leave()
    await Promise.all(nodes.map((node) => node.kill()))
    direct.destroy()
  }
}
