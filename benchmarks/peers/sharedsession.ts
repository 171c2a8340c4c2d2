import type { BenchData } from '../session.js'
import type { Install } from './peer.js'

type Package = typeof import('../../src/index.js')

/** This package, as it is built. */
export const sharedsession: Install = async (io, session) => {
  const { default: sharedsession }: Package = await import(process.env.BENCH_PACKAGE!)
  const shared = sharedsession(session, { autoSave: true })
  io.use(shared)
  return {
    session(socket) {
      const data = shared.session(socket) as unknown as BenchData
      return () => data
    },
    changed: (_session, ack) => ack(),
    settled: () => shared.flush(),
  }
}
