import { createHash } from 'node:crypto'
import { isUnsent } from '../errors.js'
import type { Dialect, Outcome } from './dialect.js'
import { constant, list, type Statement, sql, value } from './statement.js'

/**
 * MySQL and MariaDB. Contents are compared by their digest: a collation takes texts for the same that differ by case, accents or blanks. A
 * column may have another character set, and a JSON column is handed out as an object: both are read as text.
 */
export const mysql: Dialect = {
  statementsFor({ name, sid, data, end, alive }) {
    const text = sql`CONVERT(${data} USING utf8mb4)`
    const digest = sql`SHA2(${text}, 256)`
    const found = sql`${text} AS sess, ${digest} AS token`
    const row = sql`${sid} = ${value('sid')}`
    const replace = (next: Statement): Statement =>
      sql`UPDATE ${name} SET ${data} = ${value('text')}, ${end} = ${next}
        WHERE ${row} AND ${alive} AND ${digest} = ${value('expected')}`
    return {
      read: sql`SELECT ${found} FROM ${name} WHERE ${row} AND ${alive}`,
      readMany: (sids) =>
        sql`SELECT ${sid} AS sid, ${found} FROM ${name} WHERE ${sid} IN ${list(sids.map(constant))} AND ${alive}`,
      replaceExtending: replace(sql`GREATEST(${end}, ${value('end')})`),
      replaceExactly: replace(value('end')),
      // Not ON DUPLICATE KEY UPDATE: clients also count a row that it leaves as it was.
      create: sql`INSERT INTO ${name} (${sid}, ${data}, ${end}) VALUES (${value('sid')}, ${value('text')}, ${value('end')})`,
      replaceEnded: sql`UPDATE ${name} SET ${data} = ${value('text')}, ${end} = ${value('end')} WHERE ${row} AND NOT (${alive})`,
      touch: sql`UPDATE ${name} SET ${end} = ${value('end')} WHERE ${row} AND ${alive}`,
      exists: sql`SELECT 1 FROM ${name} WHERE ${row} AND ${alive}`,
      destroy: sql`DELETE FROM ${name} WHERE ${row}`,
    }
  },

  tokenOf: (text) => createHash('sha256').update(text).digest('hex'),

  serverToken: {
    typeOf(table, column) {
      const [name, schema] = table.split('.').reverse()
      const from = schema === undefined ? 'DATABASE()' : constant(schema)
      return sql`SELECT DATA_TYPE AS type FROM information_schema.COLUMNS
        WHERE TABLE_SCHEMA = ${from} AND TABLE_NAME = ${constant(name)} AND COLUMN_NAME = ${constant(column)}`
    },

    // MySQL keeps JSON in an order and a form of its own. MariaDB keeps the text.
    of: (type) =>
      type.toLowerCase() === 'json'
        ? sql`SELECT SHA2(CONVERT(CAST(${value('text')} AS JSON) USING utf8mb4), 256) AS token`
        : undefined,
  },

  isDuplicate: (error) => (error as Partial<MysqlError> | null)?.errno === 1062,

  outcomeOf(error): Outcome {
    const { errno, sqlState } = Object(error) as Partial<MysqlError>
    // A deadlock is undone, on a cluster of Galera also at the end of a statement.
    if (errno === 1213) return 'conflict'
    if (isUnsent(error) || errno === TOO_MANY_CONNECTIONS) return 'failed'
    return sqlState && !LOST_CONNECTION.includes(errno ?? 0) && !sqlState.startsWith('08') ? 'failed' : 'unknown'
  },
}

interface MysqlError {
  errno: number
  sqlState: string
}

const TOO_MANY_CONNECTIONS = 1040

/** The server shuts down, or ends the connection: it may have done the statement before. */
const LOST_CONNECTION = [1053, 1927, 2006, 2013]
