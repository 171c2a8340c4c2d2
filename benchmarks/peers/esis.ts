import expressSocketIoSession from 'express-socket.io-session'
import type { BenchData } from '../session.js'
import type { Install } from './peer.js'

/** express-socket.io-session with autoSave. It has nothing that tells when it has saved, so acks leave at once. */
export const esis: Install = (io, session) => {
  io.use(expressSocketIoSession(session, { autoSave: true }))
  return {
    session:
      ({ handshake }) =>
      () =>
        (handshake as unknown as { session: BenchData }).session,
    changed: (_session, ack) => ack(),
  }
}
