import * as crypto from 'node:crypto'

/** SHA-1 in hex, as `redis.sha1hex` computes it: it compares contents and protects nothing. */
export function sha1(content: string | Buffer): string {
  return crypto.createHash('sha1').update(content).digest('hex')
}

/** SHA-256 in URL-safe Base64: 43 characters that do not show the text. `crypto.hash` is faster, and there since Node 20.12. */
export function sha256(text: string): string {
  return crypto.hash?.('sha256', text, 'base64url') ?? crypto.createHash('sha256').update(text).digest('base64url')
}

/**
 * A session's name on a bus. Topics travel and get logged, and a session id is a credential.
 * @param tag the part that decides where the topic is, in a Redis Cluster
 */
export function topicOf(sid: string, tag?: string): string {
  const place = tag === undefined ? '' : `{${tag}}:`
  return `sharedsession:${place}${sha256(`sharedsession topic\0${sid}`)}`
}
