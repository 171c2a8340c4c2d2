import type { Bench } from './part.js'

/** The most that one process has in a benchmark. */
export const MOST_SOCKETS = 10_000
/** Files of a process that are no sockets. */
const OTHER_FILES = 200

/** How many sockets one process may have here. */
export function socketsOf({ quick, progress }: Bench): number {
  if (quick) return 100
  const { userLimits } = process.report.getReport() as unknown as { userLimits?: { open_files: { hard: number | 'unlimited' } } }
  const limit = userLimits?.open_files.hard
  const most = typeof limit === 'number' ? limit - OTHER_FILES : MOST_SOCKETS
  if (most < MOST_SOCKETS) progress(`only ${most} sockets: a process may open ${limit} files (ulimit -n)`)
  return Math.min(MOST_SOCKETS, most)
}
