interface ClientError extends Error {
  code?: unknown
  errno?: unknown
  sqlState?: unknown
  syscall?: unknown
  /** The server's own words, of clients for MySQL. `text`: mariadb 2. */
  sqlMessage?: string
  text?: string
  /** That of the client, in one of Sequelize. */
  original?: ClientError
}

/**
 * A copy of an error of a client library, with what tells how a statement ended. These libraries put the statement on their errors or into the
 * message, with its values: ids and contents of sessions.
 * @param message without the statement, where the server's own words are not on the error
 */
export function withoutStatement(error: ClientError, message = error.message): Error {
  const { name, code, errno, sqlState, syscall, sqlMessage, text, original } = error
  const cause = original && withoutStatement(original)
  const isOfClient = cause !== undefined && message === original?.message
  const copy = new Error(isOfClient ? cause.message : withoutValue(sqlMessage ?? text ?? message), cause && { cause })
  return Object.assign(copy, { name, code, errno, sqlState, syscall })
}

/** MySQL names the value that a unique index or a column has refused. */
function withoutValue(message: string): string {
  return message.replace(/(Duplicate entry) '.*'(?= for key )/s, '$1').replace(/( value:) '.*'(?= for column |$)/s, '$1')
}
