import { IndeterminateWriteError } from '../store-driver.js'

/** What is read of an error of the package mongodb: the application may have any version of it. */
interface MongoError {
  name?: unknown
  code?: unknown
  message?: unknown
  /** The fields of the index that has refused a document. Older servers only name it in the message. */
  keyPattern?: object
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

/** There is a document with that id already. Another index that refuses the document is no reason to try again. */
export function isDuplicate(error: unknown): boolean {
  const { code, keyPattern, message } = (error ?? {}) as MongoError
  if (code !== 11_000) return false
  return keyPattern ? '_id' in keyPattern : !/ index: (?!\S*\b_id_)/.test(String(message))
}

/** The error of a write, as a driver throws it, without the value that an index has refused. */
export function writeError(error: unknown): unknown {
  if (error instanceof Error) withoutKey(error)
  const isUnsent = UNSENT.test(String((error as MongoError | null)?.name))
  return isUnsent || isRefusal(error) ? error : new IndeterminateWriteError(error)
}

/** The message ends with the value that an index has refused. The stack begins with the message. */
function withoutKey(error: Error): void {
  const [whole] = / dup key: .*$/s.exec(error.message) ?? []
  if (whole === undefined) return
  error.stack = error.stack?.replace(whole, '')
  error.message = error.message.replace(whole, '')
}
