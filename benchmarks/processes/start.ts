// What an import takes, in a process that has imported nothing else.
import { serve } from '../worker.js'

const offers = {
  /** @returns ms, and what it has left in the heap */
  async import(specifier: string) {
    globalThis.gc?.()
    const before = process.memoryUsage().heapUsed
    const start = performance.now()
    await import(specifier)
    const ms = performance.now() - start
    globalThis.gc?.()
    return { ms, bytes: process.memoryUsage().heapUsed - before }
  },
}

export type StartOffers = typeof offers
serve(() => offers)
