import type { BenchData } from '../session.js'
import type { Install } from './peer.js'

type Package = typeof import('../../src/index.js')

/** This package, as it is built. */
export const sharedsession: Install = async (io, session) => {
  const { default: sharedsession }: Package = await import(process.env.BENCH_PACKAGE!)
  const shared = sharedsession(session, { autoSave: true })
  shared.attach(io)
  return {
    session(socket) {
      // As with the others: a handler that never runs asks for nothing.
      let data: BenchData | undefined
      return () => {
        data ??= shared.session(socket) as unknown as BenchData
        return data
      }
    },
    changed: (_session, ack) => ack(),
    settled: () => shared.flush(),
  }
}
