import { createHash } from 'node:crypto'

/**
 * What a session is called on a bus. Topics travel and get logged: a session id is a credential.
 * @param tag what decides about the topic's place, where topics have places
 */
export function topicOf(sid: string, tag?: string): string {
  const place = tag === undefined ? '' : `{${tag}}:`
  return `sharedsession:${place}${createHash('sha256').update(`sharedsession topic\0${sid}`).digest('base64url')}`
}
