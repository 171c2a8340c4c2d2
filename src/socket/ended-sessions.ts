import { ROTATION_WAIT } from '../session/store-handlers.js'
import type { Tombstone } from '../store/session-clock.js'
import { settleWithin } from '../util/timeout.js'

/**
 * Has one of the sessions that a client's cookies name ended since its handshake came? After a rotation the client has another cookie by now, or
 * gets it soon; otherwise the response to its next handshake brings one. The response to this handshake has left, and no cookie would name a
 * new session.
 */
export function haveEndedSince(ends: readonly Tombstone[], moment: number): boolean {
  return ends.some(({ rotation, knownAt }) => rotation !== undefined || knownAt > moment)
}

/** Settles when the responses that bring the client its next cookie should have arrived. */
export async function waitForRotations(ends: readonly Tombstone[]): Promise<void> {
  await settleWithin(Promise.all(ends.map(({ rotation }) => rotation)), ROTATION_WAIT)
}
