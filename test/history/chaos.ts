import { setTimeout } from 'node:timers/promises'
import type { TcpProxy } from '../support/tcp-proxy.js'
import type { Cluster } from './cluster.js'
import type { Networks } from './networks.js'
import { Random } from './random.js'

/** What goes wrong during a run. */
export interface Chaos {
  /** SIGKILL of a process at random, and another one in its place. */
  kills: boolean
  /** A server that can be stopped where it is, and go on. */
  server?: { pause(): void; resume(): void }
  /** The connections to it, which can be cut. */
  proxy?: Pick<TcpProxy, 'cut' | 'cutAll'>
  /** Of the processes, which can be parted from the store. */
  networks?: Pick<Networks, 'part' | 'join'>
}

/** What has gone wrong. */
export interface Trouble {
  kills: number
  pauses: number
  cuts: number
  partitions: number
}

/**
 * Makes things go wrong, at moments that the seed decides.
 * @returns `end` resolves when everything runs again
 */
export function disturb(
  cluster: Cluster,
  { kills, server, proxy, networks }: Chaos,
  seed: number,
): { trouble: Trouble; end(): Promise<void> } {
  const trouble: Trouble = { kills: 0, pauses: 0, cuts: 0, partitions: 0 }
  const random = new Random(seed, 'chaos')
  const stop = new AbortController()
  const after = (ms: number): Promise<void> => setTimeout(ms, undefined, { signal: stop.signal }).catch(() => undefined)
  const loop = async (each: () => Promise<void>): Promise<void> => {
    while (!stop.signal.aborted) await each()
  }
  const killing = async (): Promise<void> => {
    await after(1500 + random.below(4000))
    if (!kills || stop.signal.aborted) return
    trouble.kills++
    await cluster.kill(random.below(cluster.size))
  }
  const pauses = new Random(seed, 'pauses')
  const pausing = async (): Promise<void> => {
    await after(1000 + pauses.below(4000))
    if (!server || stop.signal.aborted) return
    trouble.pauses++
    server.pause()
    // Mostly shorter than the time limit of a call, sometimes longer.
    await after(pauses.chance(0.15) ? 1600 + pauses.below(2000) : pauses.below(800))
    server.resume()
  }
  const cuts = new Random(seed, 'cuts')
  const cutting = async (): Promise<void> => {
    await after(200 + cuts.below(1500))
    if (stop.signal.aborted || !proxy) return
    trouble.cuts++
    // Mostly one whose request was carried out and not answered.
    if (cuts.chance(0.1)) proxy.cutAll()
    else void proxy.cut(cuts.chance(0.7) ? 'answer' : 'request')
  }
  const partitions = new Random(seed, 'partitions')
  const parting = async (): Promise<void> => {
    await after(2000 + partitions.below(6000))
    if (stop.signal.aborted || !networks) return
    trouble.partitions++
    const index = partitions.below(cluster.size)
    networks.part(index)
    await after(partitions.chance(0.3) ? 3000 + partitions.below(5000) : partitions.below(1500))
    networks.join(index)
  }
  const loops = Promise.all([loop(killing), loop(pausing), loop(cutting), loop(parting)])
  return {
    trouble,
    async end() {
      stop.abort()
      await loops
      await cluster.ready()
    },
  }
}
