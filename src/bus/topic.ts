import { createHash } from 'node:crypto'

/** What a session is called on a bus. Topics travel and get logged: a session id is a credential. */
export function topicOf(sid: string): string {
  return `sharedsession:${createHash('sha256').update(`sharedsession topic\0${sid}`).digest('base64url')}`
}
