import * as crypto from 'node:crypto'
import type { SessionReplica } from '../session/replica.js'
import { getOrInsert } from '../util/bounded-map.js'
import type { SocketMember } from './member.js'

const PREFIX = 'sharedsession:'

/** The room of a session's sockets. Room names travel between nodes and get logged: a session id is a credential. */
export function roomOf(sid: string): string {
  return `${PREFIX}${digest(`sharedsession room\0${sid}`)}`
}

const rooms = new WeakMap<SessionReplica, string>()

/** The same text for all sockets of a session: each keeps the names of its rooms. */
function roomOfAll(live: SessionReplica): string {
  return getOrInsert(rooms, live, () => roomOf(live.sid))
}

/** The room that a socket joins when it has come to its session; without the option `room` only its own. */
export function joins({ replica: live, options, socket }: SocketMember): string {
  return options.room ? roomOfAll(live) : socket.id
}

export function isSessionRoom(room: unknown): boolean {
  return typeof room === 'string' && room.startsWith(PREFIX)
}

/** Node has a faster way since 20.12. */
function digest(text: string): string {
  return crypto.hash?.('sha256', text, 'base64url') ?? crypto.createHash('sha256').update(text).digest('base64url')
}
