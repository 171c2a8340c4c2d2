import type { IncomingMessage } from 'node:http'
import type { Hub } from '../session/hub.js'
import { upsert } from '../tracking/upsert.js'
import type { Visit } from './visit.js'

/** How long what was read for a handshake may stand for what its first socket would read, in ms. */
const FRESH = 1000

/** What was read for a handshake before it was answered. */
export interface Meeting {
  /** Rejects with what the session middleware reported. */
  readonly visited: Promise<Visit>
  /** When reading it began: by `hub.ends`, by `hub.commitClock`, and in ms. */
  readonly moment: number
  readonly since: number
  readonly at: number
}

const meetings = new WeakMap<Hub, WeakMap<IncomingMessage, Meeting>>()

export function meetingsOf(hub: Hub): WeakMap<IncomingMessage, Meeting> {
  return upsert(meetings, hub, () => new WeakMap())
}

/** Where nobody asks for it, it has failed for nobody. */
export function unheeded<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}

/** What was read for a handshake, once, while it is fresh. */
export function takeMeeting(hub: Hub | undefined, request: IncomingMessage): Meeting | undefined {
  const met = hub && meetings.get(hub)
  const meeting = met?.get(request)
  met?.delete(request)
  return meeting && performance.now() - meeting.at < FRESH ? meeting : undefined
}
