import { withoutContents } from '../errors.js'
import { IndeterminateWriteError } from '../store-driver.js'

/** What is read of an error of the package mongodb: the application may have any version of it. */
interface MongoError {
  name?: unknown
  code?: unknown
  hasErrorLabel?(label: string): boolean
}

/** Thrown before anything is sent. */
const UNSENT = /^(BSON\w*Error|MongoInvalidArgumentError|MongoNotConnectedError|TypeError|RangeError)$/

/** What servers answer that were interrupted, that are not the primary any more, or that have waited in vain for another member. */
const INTERRUPTED = [
  6, 7, 24, 50, 64, 79, 89, 91, 100, 112, 189, 202, 262, 9001, 10_058, 10_107, 11_600, 11_601, 11_602, 13_435, 13_436,
]

/**
 * Has a server said that it refuses the write? After any other error the write may have happened: the client library sends some writes again by
 * itself, and an error of the second time tells nothing about the first.
 */
export function isRefusal(error: unknown): boolean {
  const { name, code, hasErrorLabel } = (error ?? {}) as MongoError
  if (name !== 'MongoServerError' || typeof code !== 'number' || INTERRUPTED.includes(code)) return false
  return hasErrorLabel?.call(error, 'RetryableWriteError') !== true
}

export function isDuplicate(error: unknown): boolean {
  return (error as MongoError | null)?.code === 11_000
}

/** The error of a write, as a driver throws it. */
export function writeError(error: unknown): unknown {
  withoutContents(error)
  const isUnsent = UNSENT.test(String((error as MongoError | null)?.name))
  return isUnsent || isRefusal(error) ? error : new IndeterminateWriteError(error)
}
