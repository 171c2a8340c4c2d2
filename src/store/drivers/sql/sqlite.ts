import type { Dialect } from './dialect.js'
import { constant, list, type Statement, sql, value } from './statement.js'

/** SQLite. Contents are compared byte by byte: an own table may have another collation. Each write results in the rows that it has written. */
export const sqlite: Dialect = {
  statementsFor({ name, sid, data, end, alive }) {
    const row = sql`${sid} = ${value('sid')}`
    const replace = (next: Statement): Statement =>
      sql`UPDATE ${name} SET ${data} = ${value('text')}, ${end} = ${next}
        WHERE ${row} AND ${alive} AND CAST(${data} AS BLOB) = CAST(${value('expected')} AS BLOB) RETURNING 1`
    return {
      read: sql`SELECT ${data} AS sess FROM ${name} WHERE ${row} AND ${alive}`,
      readMany: (sids) =>
        sql`SELECT ${sid} AS sid, ${data} AS sess FROM ${name} WHERE ${sid} IN ${list(sids.map(constant))} AND ${alive}`,
      replaceExtending: replace(sql`max(${end}, ${value('end')})`),
      replaceExactly: replace(value('end')),
      create: sql`INSERT INTO ${name} (${sid}, ${data}, ${end}) VALUES (${value('sid')}, ${value('text')}, ${value('end')})
        ON CONFLICT (${sid}) DO UPDATE SET ${data} = excluded.${data}, ${end} = excluded.${end} WHERE NOT (${alive}) RETURNING 1`,
      touch: sql`UPDATE ${name} SET ${end} = ${value('end')} WHERE ${row} AND ${alive} RETURNING 1`,
      exists: sql`SELECT 1 FROM ${name} WHERE ${row} AND ${alive}`,
      destroy: sql`DELETE FROM ${name} WHERE ${row}`,
    }
  },
  tokenOf: () => undefined,
  isDuplicate: () => false,
  // It is in this process: what throws has done nothing.
  outcomeOf: () => 'failed',
}
