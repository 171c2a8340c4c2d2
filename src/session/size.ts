import { SharedSessionError } from '../errors.js'

/** Throws `TOO_LARGE` for JSON of more than `maxBytes` bytes. */
export function assertSize(json: string, maxBytes: number): void {
  // No character takes more than three bytes, so that most need not be looked at.
  if (json.length * 3 <= maxBytes) return
  const bytes = Buffer.byteLength(json)
  if (bytes <= maxBytes) return
  throw new SharedSessionError(
    'TOO_LARGE',
    `The session is ${bytes} bytes of JSON and may be ${maxBytes}: it was not saved. Store less in it, or raise maxBytes.`,
  )
}
