import { sha256 } from '../util/hash.js'

const PREFIX = 'sharedsession:'

/** The room of a session's sockets. Room names travel between nodes and are logged, and a session id is a credential: so it is hashed. */
export function roomOf(sid: string): string {
  return `${PREFIX}${sha256(`sharedsession room\0${sid}`)}`
}

export function isSessionRoom(room: unknown): boolean {
  return typeof room === 'string' && room.startsWith(PREFIX)
}
