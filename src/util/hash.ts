import { createHash } from 'node:crypto'

/** SHA-1 in hex, as `redis.sha1hex` computes it: it compares contents, it protects nothing. */
export function digest(content: string | Buffer): string {
  return createHash('sha1').update(content).digest('hex')
}
