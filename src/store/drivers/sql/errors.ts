/**
 * A copy of an error of a client library, with what tells how a statement ended. These libraries put the statement on their errors, and knex
 * before the message, with its values: ids and contents of sessions.
 * @param message without the statement
 */
export function withoutStatement(error: Error, message: string): Error {
  const { name, code, errno, sqlState, syscall } = error as Error & Record<string, unknown>
  return Object.assign(new Error(message), { name, code, errno, sqlState, syscall })
}
