// What an import takes, in a process that has imported nothing else.
import { serve } from '../worker.js'

const offers = {
  /** @returns ms, of these the processor time, and what it has left in the heap */
  async import(specifier: string) {
    globalThis.gc?.()
    const before = process.memoryUsage().heapUsed
    const usage = process.cpuUsage()
    const start = performance.now()
    await import(specifier)
    const ms = performance.now() - start
    const { user, system } = process.cpuUsage(usage)
    globalThis.gc?.()
    return { ms, cpu: (user + system) / 1000, kB: (process.memoryUsage().heapUsed - before) / 1000 }
  },
}

export type StartOffers = typeof offers
serve(() => offers)
