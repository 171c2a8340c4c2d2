import { createHash } from 'node:crypto'

const PREFIX = 'sharedsession:'

/** The room of a session's sockets. Room names travel between nodes and get logged: a session id is a credential. */
export function roomOf(sid: string): string {
  return `${PREFIX}${createHash('sha256').update(`sharedsession room\0${sid}`).digest('base64url')}`
}

export function isSessionRoom(room: unknown): boolean {
  return typeof room === 'string' && room.startsWith(PREFIX)
}
