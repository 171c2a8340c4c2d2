import { SharedSessionError } from '../errors.js'

/** The error that a caller gets when the store fails. @param what the failed action, as in "could not be read" */
export function storeError(what: string, cause: unknown): SharedSessionError {
  if (cause instanceof SharedSessionError) return cause
  return new SharedSessionError('STORE_FAILED', `The session could not be ${what}: the session store reported an error.`, {
    cause,
  })
}

/** @throws `TOO_LARGE` for JSON of more than `maxBytes` bytes */
export function assertSize(json: string, maxBytes: number): void {
  // A character takes at most three bytes, so most documents need no count.
  if (json.length * 3 <= maxBytes) return
  const bytes = Buffer.byteLength(json)
  if (bytes <= maxBytes) return
  throw new SharedSessionError(
    'TOO_LARGE',
    `The session is ${bytes} bytes of JSON and may be ${maxBytes}: it was not saved. Store less in it, or raise maxBytes.`,
  )
}
