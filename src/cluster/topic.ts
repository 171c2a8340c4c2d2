import { createHash } from 'node:crypto'

/**
 * The name of a session on a bus. It does not contain the session id, which is a credential: topics travel and get logged.
 * @param tag the hash tag that decides about the topic's node, on a Redis cluster
 */
export function topicOf(sid: string, tag?: string): string {
  const hashTag = tag === undefined ? '' : `{${tag}}:`
  return `sharedsession:${hashTag}${createHash('sha256').update(`sharedsession topic\0${sid}`).digest('base64url')}`
}
