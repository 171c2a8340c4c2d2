import type { RequestHandler } from 'express'
import type { Server, Socket } from 'socket.io'
import type { BenchData } from '../session.js'

export type PeerName = 'bare' | 'sharedsession' | 'esis' | 'recipe'

/** A way to have sessions on sockets, as its documentation shows it. */
export interface Peer {
  /** How a handler of this socket comes to its session. */
  session(socket: Socket): () => BenchData
  /** A handler has changed the session: stores it, where that does not happen by itself, and then acknowledges. */
  changed(session: () => BenchData, ack: () => void): void
  /** Resolves when everything written is in the store; of the others the store's answers are waited for. */
  settled?(): Promise<void>
}

/** Puts sessions on a server. */
export type Install = (io: Server, session: RequestHandler) => Peer | Promise<Peer>
