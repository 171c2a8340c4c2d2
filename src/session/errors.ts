import { formatPath } from '../document/errors.js'
import type { Path } from '../document/json.js'
import { SharedSessionError } from '../errors.js'

/** How many places a message names. */
const MOST_NAMED = 5

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
    `The session is ${bytes} bytes of JSON and may be ${maxBytes}: it was not saved. ${largestKey(json)} Store less in it, or raise maxBytes.`,
  )
}

/** The error of a save whose content the store cannot hold. @param paths what was written */
export function refusedByStore(paths: readonly Path[], cause: unknown): SharedSessionError {
  const places = [...new Set(paths.map(formatPath))]
  const named = places.slice(0, MOST_NAMED).join(', ') + (places.length > MOST_NAMED ? ' and others' : '')
  return new SharedSessionError(
    'NOT_STORABLE',
    `${named || 'cookie'}: the session store refuses what was written there, see the cause. All writes of this save were taken back.`,
    { cause },
  )
}

function largestKey(json: string): string {
  const sizes = Object.entries(JSON.parse(json)).map(([key, value]) => ({ key, size: Buffer.byteLength(JSON.stringify(value)) }))
  const { key, size } = sizes.reduce((largest, each) => (each.size > largest.size ? each : largest), { key: '', size: 0 })
  return `Its largest key is ${formatPath([key])}, with ${size} bytes.`
}
