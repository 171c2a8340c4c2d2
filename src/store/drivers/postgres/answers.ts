import { isUnsent } from '../errors.js'
import type { Outcome } from '../sql/dialect.js'

/** Serialization failure and deadlock: where transactions are stricter than READ COMMITTED, and another writer was faster. */
const CONFLICTS = ['40001', '40P01']

/** @param error of a statement that Postgres was to run */
export function outcomeOf(error: unknown): Outcome {
  const code = String((error as { code?: unknown } | null)?.code)
  if (CONFLICTS.includes(code)) return 'conflict'
  return isServerError(code) || isUnsent(error) ? 'failed' : 'unknown'
}

/** An SQLSTATE tells that the server did nothing, but for those of lost connections and of shutdowns. 57P03: it does not take connections yet. */
function isServerError(code: string): boolean {
  if (code === '57P03') return true
  return /^[0-9A-Z]{5}$/.test(code) && /\d/.test(code) && !/^(08|57P|XX)/.test(code)
}

/**
 * The statement reads the current row as of its start, and writes as of its end. Where that row is the expected one and yet nothing was
 * written, or where there is no row and yet none could be created, another writer came in between: the row has to be read again.
 */
export function isStale(row: { etag?: unknown } | undefined, expected: string | undefined): boolean {
  return row?.etag === expected
}
