import { createHash, hash } from 'node:crypto'

/** SHA-1 in hex, as `redis.sha1hex` computes it: it compares contents and protects nothing. */
export function sha1(content: string | Buffer): string {
  return digest('sha1', content, 'hex')
}

/** SHA-256 in URL-safe Base64: 43 characters that do not show the text. */
export function sha256(text: string): string {
  return digest('sha256', text, 'base64url')
}

/** By `crypto.hash`, which is faster, and there since Node 20.12. */
export function digest(algorithm: string, content: string | Buffer, encoding: 'hex' | 'base64url'): string {
  return hash?.(algorithm, content, encoding) ?? createHash(algorithm).update(content).digest(encoding)
}
