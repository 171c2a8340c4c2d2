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

/** Errors get into logs. The error stays what it is: who catches it may know its class. */
export function withoutContents(error: unknown): unknown {
  if (typeof error !== 'object' || error === null) return error
  for (const field of CONTENTS) Reflect.deleteProperty(error, field)
  // That of a cluster of ioredis.
  if ('lastNodeError' in error) withoutContents(error.lastNodeError)
  return error
}
