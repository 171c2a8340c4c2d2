/**
 * A copy of an error of a client library, with what tells how a statement ended. These libraries put the statement on their errors, and knex
 * before the message, with its values: ids and contents of sessions.
 * @param message without the statement
 */
export function withoutStatement(error: Error, message: string): Error {
  const { name, code, errno, sqlState, syscall } = error as Error & Record<string, unknown>
  // MySQL's, with the value that a unique index has refused.
  const withoutValue = message.replace(/^(Duplicate entry) .*(?= for key )/s, '$1')
  return Object.assign(new Error(withoutValue), { name, code, errno, sqlState, syscall })
}
