import { dataOf } from '../session.js'
import type { Install } from './peer.js'

/** Socket.IO without sessions: what nobody can be faster than. Handlers read and write a plain object. */
export const bare: Install = () => {
  const data = dataOf(1_000)
  return { session: () => () => data, changed: (_session, ack) => ack() }
}
