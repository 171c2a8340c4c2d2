import { setTimeout as pause } from 'node:timers/promises'
import type { Replacement } from '../simulation/bundle.js'
import { type Chaos, disturb } from './chaos.js'
import { checkHistory } from './check.js'
import { Actor, post, Recorder, type Visitor } from './clients.js'
import { Cluster } from './cluster.js'
import type { Doc, History, Operation, Reader, Violation } from './history.js'
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
  /** A mistake in the sources, which has to be found. */
  mutant?: Replacement & { name: string }
  chaos?: Chaos
  /** One for each process. */
  networks?: Networks
}

export interface Outcome {
  history: History
  violations: Violation[]
  /** How often a process found that another one had been faster: without that, they were not in each other's way. */
  refusals?: number
}

/** Shorter than some of the pauses: calls whose outcome nobody knows. */
const IMPATIENCE = 1500

const CLIENTS = { http: 6, socket: 4, update: 4 }

/** Starts the processes, lets the clients of one session do their work, and checks what came of it. */
export async function run(options: RunOptions): Promise<Outcome> {
  const stage = await openStage(options)
  const { cluster } = stage
  try {
    const chaos = options.chaos && disturb(cluster, options.chaos, options.seed)
    const outcome = await live(stage, options, async () => {
      await chaos?.end()
      await cluster.flush()
    })
    for (const crash of cluster.crashes) outcome.violations.push({ what: crash, operations: [] })
    await cluster.countRefusals()
    return { ...outcome, refusals: cluster.refusals }
  } finally {
    await stage.close()
  }
}

/** The processes, and what their store holds. */
export interface Stage {
  cluster: Cluster
  read(sid: string): Promise<Doc | undefined>
  close(): Promise<void>
}

export async function openStage(options: RunOptions): Promise<Stage> {
  const { store, url = '', through = url, processes, merge = true, driver, chaos, networks, mutant } = options
  const reader: Reader | undefined = store === 'memory' ? undefined : await openReader(store, url)
  const timeout = chaos ? IMPATIENCE : 30_000
  const cluster = await Cluster.start(processes, { store, url: through, merge, driver, timeout }, networks, mutant)
  return {
    cluster,
    read: async (sid) => (reader ? reader.read(sid) : ((await cluster.call(0, 'dump', sid)) ?? undefined)),
    async close() {
      await cluster.close()
      await reader?.close()
    },
  }
}

/**
 * One session from its first request to its end.
 * @param settle is awaited before the store is read
 */
export async function live(
  { cluster, read }: Stage,
  options: RunOptions,
  settle: () => Promise<void>,
): Promise<Outcome & { sid: string }> {
  const visitor = await persistently((tries) => visit(cluster, (options.seed + tries) % options.processes))
  const { sid } = visitor
  const operations = await work(visitor, options, limit(options))
  await settle()
  let history: History = { operations, final: await read(sid) }
  let violations = checkHistory(history)
  if (violations.length === 0) {
    await destroyWhileBusy(visitor, options)
    await settle()
    history = { ...history, destroyed: true, afterwards: await read(sid) }
    violations = checkHistory(history)
  }
  return { sid, history, violations }
}

/** Connections may be cut, processes killed, and a busy machine may stand still for a minute. */
async function persistently<T>(once: (tries: number) => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await once(tries)
    } catch (error) {
      if (tries === 20) throw error
      await pause(tries * 500)
    }
  }
}

/** One browser's first request: all clients share its cookie. */
async function visit(cluster: Cluster, process: number): Promise<Visitor> {
  const { cookie = '', body } = await post(await cluster.address(process), '', '/start', {})
  const { sid } = body as { sid: string }
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
  let isOver = false
  await work(visitor, { ...options, seed: options.seed + 1 }, (begun) => {
    let done = 0
    return () => {
      if (begun() > 30) destroyed ??= destroy(visitor, options.seed, options.processes).finally(() => (isOver = true))
      // Each goes on a little.
      return !isOver || done++ < 2
    }
  })
  await destroyed
}

/** Once it is destroyed, a second time destroys nothing. */
function destroy({ cluster, cookie }: Visitor, seed: number, processes: number): Promise<unknown> {
  return persistently(async (tries) => post(await cluster.address((seed + tries) % processes), cookie, '/destroy', {}))
}
