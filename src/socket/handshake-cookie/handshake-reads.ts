import type { IncomingMessage } from 'node:http'
import type { SessionManager } from '../../session/session-manager.js'
import { getOrInsert } from '../../util/bounded-map.js'
import type { LoadedRequest } from '../run-session-middleware.js'

/** How long what was read for a handshake may stand for what its first socket would read, in ms. */
const FRESH = 1000

/** What was read for a handshake before it was answered. */
export interface HandshakeRead {
  /** Rejects with what the session middleware reported. */
  readonly visited: Promise<LoadedRequest>
  /** When reading it began: by the manager's clock, and in ms. */
  readonly moment: number
  readonly at: number
}

const meetings = new WeakMap<SessionManager, WeakMap<IncomingMessage, HandshakeRead>>()

export function handshakeReadsOf(hub: SessionManager): WeakMap<IncomingMessage, HandshakeRead> {
  return getOrInsert(meetings, hub, () => new WeakMap())
}

/** Where nobody asks for it, it has failed for nobody. */
export function ignoreRejection<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}

/** What was read for a handshake, once, while it is fresh. */
export function takeHandshakeRead(hub: SessionManager | undefined, request: IncomingMessage): HandshakeRead | undefined {
  const met = hub && meetings.get(hub)
  const meeting = met?.get(request)
  met?.delete(request)
  return meeting && performance.now() - meeting.at < FRESH ? meeting : undefined
}
