import { sha256 } from '../util/hash.js'

/**
 * A session's name on a bus. Topics travel and get logged, and a session id is a credential.
 * @param tag the part that decides where the topic is, in a Redis Cluster
 */
export function topicOf(sid: string, tag?: string): string {
  const place = tag === undefined ? '' : `{${tag}}:`
  return `sharedsession:${place}${sha256(`sharedsession topic\0${sid}`)}`
}
