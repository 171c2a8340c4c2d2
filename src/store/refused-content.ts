/** What is read of an error of a store or of its client library, which may be of any version. */
interface DatabaseError {
  name?: unknown
  message?: unknown
  code?: unknown
  errno?: unknown
  sqlState?: unknown
  cause?: unknown
}

/** Data that the type of the column cannot hold: `\u0000` and lone surrogates in jsonb, a text that is too long, a date out of range. */
const DATA_EXCEPTION = /^22[0-9A-Z]{3}$/

/** Postgres: a failed CHECK, and limits of the server, such as the size of a jsonb value. */
const POSTGRES = ['23514', '54000', '54001']

/** MySQL and MariaDB: a character that the column has not, a text that is too long, a statement that is too large, a failed CHECK. */
const MYSQL = [1153, 1366, 1406, 3819, 4025]

/** MongoDB's server: a document that is too large, and names of keys. */
const MONGODB = [52, 57, 10_334, 17_419, 17_420]

/** How many errors may lie in each other. */
const DEPTH = 4

/** Does the error say that the store cannot hold this content? The same write would be refused again, and has not happened. */
export function isContentRefusal(error: unknown): boolean {
  let each = error
  for (let depth = 0; depth < DEPTH && typeof each === 'object' && each !== null; depth++) {
    if (isRefusal(each)) return true
    each = (each as DatabaseError).cause
  }
  return false
}

function isRefusal({ name, message, code, errno, sqlState }: DatabaseError): boolean {
  if (DATA_EXCEPTION.test(String(code)) || DATA_EXCEPTION.test(String(sqlState))) return true
  if (POSTGRES.includes(String(code)) || code === 'SQLITE_TOOBIG') return true
  if (typeof sqlState === 'string' && MYSQL.includes(Number(errno))) return true
  if (name === 'MongoServerError') return MONGODB.includes(Number(code))
  // Thrown by MongoDB's client, and by a model of Sequelize, before anything is sent.
  if (/^BSON\w*Error$/.test(String(name)) || name === 'SequelizeValidationError') return true
  return name === 'ValidationException' && /size has exceeded/i.test(String(message))
}
