import { fileOf } from './compile.js'
import { type Bench, type Findings, join } from './part.js'
import type { PeerName } from './peers/peer.js'
import type { Load, LoadOffers } from './processes/load.js'
import type { ServerConfig, ServerOffers } from './processes/server.js'
import { alternate } from './statistics.js'
import type { StoreName } from './stores.js'
import { Worker } from './worker.js'

export const CONTENDERS: PeerName[] = ['bare', 'sharedsession', 'esis', 'recipe']

/**
 * ms until V8 has compiled what a contender runs through: a server runs for longer than it is measured here, and the compiler's threads
 * are counted as its own. Once for each process: what comes after runs through the same code.
 */
export const WARM = 1500

/** As tables and charts call them. */
export const TITLES: Record<PeerName, string> = {
  bare: 'bare Socket.IO',
  sharedsession: 'sharedsession',
  esis: 'express-socket.io-session',
  recipe: "Socket.IO's recipe",
}

export function eachContender<T>(of: (name: PeerName) => T): Record<PeerName, T> {
  return Object.fromEntries(CONTENDERS.map((name) => [name, of(name)])) as Record<PeerName, T>
}

/** What came of all turns of a contender in one round. */
export interface Total {
  count: number
  ms: number
  /** µs of the server's processor time. */
  cpu: number
  /** The median delay in µs, of the last turn. */
  delay: number
}

export const perSecond = ({ count, ms }: Total): number => (count / ms) * 1000
/** µs of processor time. */
export const cpuPer = ({ cpu, count }: Total): number => cpu / count

export interface Contender {
  name: PeerName
  port: number
  server: Worker<ServerOffers>
}

/** One round: a fresh server process for each contender, and one fresh load process. */
export class Round<Name extends PeerName = PeerName> {
  readonly load: Worker<LoadOffers>
  readonly #contenders: Map<PeerName, Contender>

  private constructor(load: Worker<LoadOffers>, contenders: Contender[]) {
    this.load = load
    this.#contenders = new Map(contenders.map((contender) => [contender.name, contender]))
  }

  static async start<Name extends PeerName>(bench: Bench, store: StoreName, names: readonly Name[]): Promise<Round<Name>> {
    const started = await Promise.allSettled([
      Worker.start<LoadOffers>(fileOf('load')),
      ...names.map(async (name): Promise<Contender> => {
        const config: ServerConfig = { peer: name, store, urls: bench.urls }
        const server = await Worker.start<ServerOffers>(fileOf('server'), config, profiled(name))
        return { name, server, port: await server.call('port') }
      }),
    ])
    const failed = started.find((each) => each.status === 'rejected')
    const [load, ...contenders] = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : [])) as [
      Worker<LoadOffers>,
      ...Contender[],
    ]
    const round = new Round<Name>(load, contenders)
    if (!failed) return round
    await round.stop()
    throw failed.reason
  }

  /** In the order in which they were started, which is another in the next round. */
  get names(): Name[] {
    return [...this.#contenders.keys()] as Name[]
  }

  of(name: Name): Contender {
    return this.#contenders.get(name)!
  }

  /**
   * In turn, with the order reversed every other time.
   * @param after what follows each turn and is not measured
   */
  async measure(
    turns: Record<Name, number>,
    turn: (contender: Contender, time: number) => Promise<Load>,
    after?: (contender: Contender) => Promise<void>,
  ): Promise<Record<Name, Total>> {
    const names = Object.keys(turns) as Name[]
    const totals = Object.fromEntries(names.map((name) => [name, { count: 0, ms: 0, cpu: 0, delay: 0 }])) as Record<Name, Total>
    await alternate(turns, async (name, time) => {
      const contender = this.of(name)
      const before = await contender.server.call('cpu')
      const { count, ms, delay } = await turn(contender, time)
      const total = totals[name]
      total.cpu += (await contender.server.call('cpu')) - before
      total.count += count
      total.ms += ms
      total.delay = delay
      await after?.(contender)
    })
    return totals
  }

  /**
   * Closes the sockets that were connected by a contender's name, and resolves when its server has let go of them.
   * @param others how many sockets remain
   */
  async close({ name, server }: Contender, others = 0): Promise<void> {
    await this.load.call('close', name)
    while ((await server.call('connected')) > others) await new Promise((resolve) => setTimeout(resolve, 10))
  }

  async stop(): Promise<void> {
    const servers = [...this.#contenders.values()].map(({ server }) => server.stop())
    await Promise.all([this.load.stop(), ...servers])
  }
}

/** @param count how many rounds a whole run has */
export function timesOf({ quick, rounds }: Bench, count: number): number {
  return quick ? 1 : (rounds ?? count)
}

/** Where a part is measured. A quick run only looks at the last of them. */
export async function inStores<Store extends StoreName>(
  { quick, stores: only }: Bench,
  stores: readonly Store[],
  measure: (store: Store) => Promise<Findings>,
): Promise<Findings> {
  const findings: Findings[] = []
  const chosen = stores.filter((store) => !only || only.includes(store))
  for (const store of quick ? chosen.slice(-1) : chosen) findings.push(await measure(store))
  return join(findings)
}

/** So many rounds, one after the other. */
export async function rounds<Name extends PeerName, T>(
  bench: Bench,
  { count, store, names }: { count: number; store: StoreName; names: readonly Name[] },
  round: (round: Round<Name>) => Promise<T>,
): Promise<T[]> {
  const results: T[] = []
  const times = timesOf(bench, count)
  for (let time = 0; time < times; time++) {
    bench.progress(`${store}, round ${time + 1} of ${times}`)
    // Who is started first is last in the next round.
    const current = await Round.start(bench, store, time % 2 ? [...names].reverse() : names)
    try {
      results.push(await round(current))
    } finally {
      await current.stop()
    }
  }
  return results
}

/** Reads and writes of each contender's store. @param before what is not counted */
export async function storeCalls(round: Round, before?: Record<PeerName, number>): Promise<Record<PeerName, number>> {
  const counts = CONTENDERS.map(async (name) => {
    const { reads, writes } = await round.of(name).server.call('calls')
    return [name, reads + writes - (before?.[name] ?? 0)]
  })
  return Object.fromEntries(await Promise.all(counts))
}

/** `BENCH_PROFILE=folder` writes a profile of each server of this package. */
function profiled(name: PeerName): string[] {
  const folder = process.env.BENCH_PROFILE
  return folder && name === 'sharedsession' ? ['--cpu-prof', `--cpu-prof-dir=${folder}`] : []
}
