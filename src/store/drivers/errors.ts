import type { Outcome } from './sql/dialect.js'
import { IndeterminateWriteError } from './store-driver.js'

/** What client libraries put on their errors beside the code and the message: statements and documents, with ids and contents of sessions. */
const CONTENTS = [
  // ioredis, and node-redis up to 3.
  ...['command', 'args'],
  // Postgres: the row that a constraint has refused, the JSON that cannot be read.
  ...['detail', 'where', 'internalQuery'],
  // MongoDB: the document that a validation has refused.
  ...['errInfo', 'errorResponse', 'keyValue'],
  // DynamoDB.
  'Item',
]

/** Errors of pools that gave no connection. They have no code. */
const UNSENT = [
  ...['timeout exceeded when trying to connect', 'Connection terminated due to connection timeout'],
  'Cannot use a pool after calling end on the pool',
  ...['Pool is closed.', 'No connections available.', 'Queue limit reached.'],
]

/** Was there no connection to send a statement to an SQL server on? Then it was not executed. */
export function isUnsent(error: unknown): boolean {
  const { syscall, name, message } = Object(error) as { syscall?: unknown; name?: unknown; message?: string }
  return syscall === 'connect' || syscall === 'getaddrinfo' || name === 'KnexTimeoutError' || UNSENT.includes(message ?? '')
}

/**
 * For a write that an SQL server has answered with an error. Returns where another writer was faster, so that nothing was written.
 * @throws the error, or an `IndeterminateWriteError` with it where the write may have happened
 */
export function assertConflict(outcome: Outcome, error: unknown): void {
  if (outcome !== 'conflict') throw outcome === 'unknown' ? new IndeterminateWriteError(error) : error
}

/** Errors get into logs. The error stays what it is: who catches it may know its class. */
export function withoutContents(error: unknown): unknown {
  if (typeof error !== 'object' || error === null) return error
  for (const field of CONTENTS) Reflect.deleteProperty(error, field)
  // That of a cluster of ioredis.
  if ('lastNodeError' in error) withoutContents(error.lastNodeError)
  return error
}
