/** A row's etag. Computed by the server: `jsonb` has another text than the client sent. Not md5, which FIPS servers refuse. */
const ETAG = `encode(sha256(convert_to(sess::text, 'UTF8')), 'hex')`

/** The names of a table, quoted where that is needed. The column of the sessions is `sess`. */
export interface TableNames {
  table: string
  sid: string
  /** When the session ends. */
  expire: string
}

/** A write, and the same write with a notification in one step. */
export interface ConditionalStatement {
  plain: string
  notifying: string
}

/**
 * The statements of the driver for one table. As in the stores, rows whose end is before now are ignored: they stay until they are pruned.
 * `now` is the application's clock in seconds since the epoch, as for the stores: the server's clock may differ.
 */
export interface Statements {
  /** $1 sid, $2 now */
  read: string
  /** $1 session, $2 sid, $3 etag, $4 end in seconds, $5 now, $6 sid; of those that notify also $7 channel, $8 payload */
  replaceExtending: ConditionalStatement
  replaceExactly: ConditionalStatement
  /** $1 session, $2 sid, $3 end in seconds, $4 now, $5 sid; of the one that notifies also $6 channel, $7 payload */
  create: ConditionalStatement
  /** $1 sid, $2 channel, $3 payload */
  destroy: string
  /** $1 sid */
  destroyQuietly: string
  /** $1 sids, $2 now; results in one row with all of them as JSON: the store hands out the first row only */
  readMany: string
  /** $1 sid, $2 end in seconds, $3 now */
  touch: string
  /** $1 sid, $2 now */
  exists: string
}

export function statementsFor(names: TableNames): Statements {
  const { table, sid, expire } = names
  const replace = (end: string): ConditionalStatement =>
    orCurrent(
      names,
      `UPDATE ${table} SET sess = $1, ${expire} = ${end}
        WHERE ${sid} = $2 AND ${expire} >= to_timestamp($5) AND ${ETAG} = $3 RETURNING ${ETAG} AS etag`,
      5,
    )
  return {
    read: `SELECT ${ETAG} AS etag, sess::text AS sess FROM ${table} WHERE ${sid} = $1 AND ${expire} >= to_timestamp($2)`,
    replaceExtending: replace(`greatest(${expire}, to_timestamp($4))`),
    replaceExactly: replace('to_timestamp($4)'),
    readMany: `SELECT json_agg(json_build_object('sid', ${sid}, 'etag', ${ETAG}, 'sess', sess::text))::text AS found
      FROM ${table} WHERE ${sid} = ANY($1) AND ${expire} >= to_timestamp($2)`,
    // Notifies also where the row is gone already: the listener reads before it believes.
    destroy: `WITH gone AS (DELETE FROM ${table} WHERE ${sid} = $1 RETURNING ${sid})
      SELECT pg_notify($2, $3)::text AS notified FROM (SELECT count(*) FROM gone) AS counted`,
    destroyQuietly: `DELETE FROM ${table} WHERE ${sid} = $1`,
    create: orCurrent(
      names,
      `INSERT INTO ${table} AS held (sess, ${sid}, ${expire}) VALUES ($1, $2, to_timestamp($3))
        ON CONFLICT (${sid}) DO UPDATE SET sess = excluded.sess, ${expire} = excluded.${expire} WHERE held.${expire} < to_timestamp($4)
        RETURNING ${ETAG} AS etag`,
      4,
    ),
    touch: `UPDATE ${table} SET ${expire} = to_timestamp($2) WHERE ${sid} = $1 AND ${expire} >= to_timestamp($3)
      RETURNING ${expire} >= to_timestamp($3) AS held`,
    exists: `SELECT true AS held FROM ${table} WHERE ${sid} = $1 AND ${expire} >= to_timestamp($2)`,
  }
}

/**
 * A write that results in the current row where nothing was written. The id is a parameter of its own: Postgres may give it another
 * type there than in the write.
 * @param now the number of that parameter; the id and those of a notification follow it
 */
function orCurrent({ table, sid, expire }: TableNames, write: string, now: number): ConditionalStatement {
  const statement = (notify: string): string => `WITH written AS (${write})
    SELECT true AS written, etag, NULL AS sess, ${notify} AS notified FROM written
    UNION ALL
    SELECT false, ${ETAG}, sess::text, NULL FROM ${table}
      WHERE ${sid} = $${now + 1} AND ${expire} >= to_timestamp($${now}) AND NOT EXISTS (SELECT FROM written)`
  return { plain: statement('NULL::text'), notifying: statement(`pg_notify($${now + 2}, $${now + 3})::text`) }
}
