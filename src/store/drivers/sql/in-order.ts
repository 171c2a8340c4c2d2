/**
 * The rows of several sessions in the order of their ids. Where a collation takes two ids for the same, a row has another one than it was
 * asked for: what is missing is then read by itself, as the server compares.
 */
export function inOrder<Row extends { sid?: unknown }, Found>(
  sids: readonly string[],
  rows: readonly Row[],
  found: (row: Row) => Found,
  read: (sid: string) => Promise<Found>,
): Promise<(Found | undefined)[]> {
  const bySid = new Map(rows.map((row) => [row.sid, row]))
  const similar = new Set(rows.map(({ sid }) => folded(String(sid))))
  return Promise.all(
    sids.map((sid) => {
      const row = bySid.get(sid)
      if (row) return found(row)
      return similar.has(folded(sid)) ? read(sid) : undefined
    }),
  )
}

function folded(sid: string): string {
  return sid.trimEnd().toLowerCase()
}
