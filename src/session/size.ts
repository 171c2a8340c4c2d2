import { SharedSessionError } from '../errors.js'
import type { JsonObject } from '../tracking/json.js'

/** Throws `TOO_LARGE` for data of more than `maxBytes` bytes of JSON. */
export function assertSize(data: JsonObject, maxBytes: number): void {
  const bytes = Buffer.byteLength(JSON.stringify(data))
  if (bytes <= maxBytes) return
  throw new SharedSessionError(
    'TOO_LARGE',
    `The session is ${bytes} bytes of JSON and may be ${maxBytes}: it was not saved. Store less in it, or raise maxBytes.`,
  )
}
