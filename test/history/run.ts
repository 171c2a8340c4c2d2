import { type Chaos, disturb } from './chaos.js'
import { checkHistory } from './check.js'
import { Actor, post, Recorder, type Visitor } from './clients.js'
import { Cluster } from './cluster.js'
import type { Doc, History, Operation, Violation } from './history.js'
import type { Networks } from './networks.js'
import { planClients } from './plan.js'
import { openReader, type StoreName } from './stores.js'

export interface RunOptions {
  store: StoreName
  /** Of the server, where the store has one. */
  url?: string
  /** By which the processes reach it; `url` where that is the same. */
  through?: string
  seed: number
  processes: number
  /** Steps of each client, or for how long. */
  steps?: number
  seconds?: number
  clients?: { http: number; socket: number; update: number }
  merge?: boolean
  /** `generic`: without the store's own driver. */
  driver?: 'generic'
  chaos?: Chaos
  /** One for each process. */
  networks?: Networks
}

export interface Outcome {
  history: History
  violations: Violation[]
  /** How often a process found that another one had been faster: without that, they were not in each other's way. */
  refusals: number
}

/** Shorter than some of the pauses: calls whose outcome nobody knows. */
const IMPATIENCE = 1500

const CLIENTS = { http: 6, socket: 4, update: 4 }

/** Starts the processes, lets the clients do their work, and checks what came of it. */
export async function run(options: RunOptions): Promise<Outcome> {
  const { store, url = '', through = url, processes, merge = true, driver, chaos, networks } = options
  const reader = store === 'memory' ? undefined : await openReader(store, url)
  const timeout = chaos ? IMPATIENCE : 5000
  const cluster = new Cluster(processes, { store, url: through, merge, driver, timeout }, networks)
  try {
    await cluster.ready()
    const visitor = await visit(cluster)
    const read = async (): Promise<Doc | undefined> => {
      for (let index = 0; index < processes; index++) await cluster.call(index, 'flush')
      return reader ? reader.read(visitor.sid) : ((await cluster.call(0, 'dump', visitor.sid)) ?? undefined)
    }
    const countRefusals = async (): Promise<number> => {
      const counts = Array.from({ length: processes }, (_, index) => cluster.call(index, 'refusals'))
      return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
    }
    const calm = chaos && disturb(cluster, chaos, options.seed)
    const operations = await work(visitor, options, limit(options))
    await calm?.()
    let history: History = { operations, final: await read() }
    const refusals = await countRefusals()
    let violations = checkHistory(history)
    if (violations.length === 0) {
      await destroyWhileBusy(visitor, options)
      history = { ...history, destroyed: true, afterwards: await read() }
      violations = checkHistory(history)
    }
    for (const crash of cluster.crashes) violations.push({ what: crash, operations: [] })
    return { history, violations, refusals }
  } finally {
    await cluster.close()
    await reader?.close()
  }
}

/** One browser's first request: all clients share its cookie. */
async function visit(cluster: Cluster): Promise<Visitor> {
  const response = await post({ cluster, cookie: '' }, 0, '/start', {})
  const cookie = response.headers.getSetCookie()[0]?.split(';')[0] ?? ''
  const { sid } = (await response.json()) as { sid: string }
  return { cluster, cookie, sid }
}

/** @param limited makes what tells a client whether to go on, given how many steps all of them have begun */
async function work(
  visitor: Visitor,
  options: RunOptions,
  limited: (begun: () => number) => () => boolean,
): Promise<Operation[]> {
  const { operations, record } = new Recorder()
  const plans = planClients(options.seed, options.processes, options.clients ?? CLIENTS)
  const actors = plans.map((plan) => new Actor(plan, visitor, record))
  try {
    await Promise.all(actors.map((actor) => actor.run(limited(() => operations.length))))
  } finally {
    for (const actor of actors) actor.close()
  }
  return operations
}

function limit({ steps = Infinity, seconds = Infinity }: RunOptions): () => () => boolean {
  const end = performance.now() + seconds * 1000
  return () => {
    let done = 0
    return () => done++ < steps && performance.now() < end
  }
}

/** The same clients once more, and a request that destroys the session in the middle. What they are answered does not matter. */
async function destroyWhileBusy(visitor: Visitor, options: RunOptions): Promise<void> {
  let destroyed: Promise<unknown> | undefined
  await work(visitor, { ...options, seed: options.seed + 1 }, (begun) => {
    let done = 0
    return () => {
      if (begun() > 30) destroyed ??= destroy(visitor, options.seed % options.processes)
      return done++ < 10
    }
  })
  await destroyed
}

/** A connection may still be cut. Once it is destroyed, a second time destroys nothing. */
async function destroy(visitor: Visitor, process: number): Promise<void> {
  const once = (): Promise<unknown> => post(visitor, process, '/destroy', {})
  await once().catch(once).catch(once)
}
