import { cpuPer, perSecond, TITLES, type Total } from './contest.js'
import type { Figure } from './part.js'
import type { PeerName } from './peers/peer.js'
import { over, type Spread, showSpread } from './statistics.js'

/** One contender in all rounds, by itself and against the limit. */
export interface Compared {
  name: PeerName
  rate: Spread
  cpu: Spread
  delay: Spread
  /** Of events/s. */
  rateRatio: Spread
  /** Of processor time. */
  cpuRatio: Spread
}

/** @param limit whom the others are compared with */
export function compare<Name extends PeerName>(
  totals: Record<Name, Total>[],
  names: readonly Name[],
  limit: Name,
): Record<Name, Compared> {
  const compared = names.map((name) => [
    name,
    {
      name,
      rate: over(totals, (round) => perSecond(round[name])),
      cpu: over(totals, (round) => cpuPer(round[name])),
      delay: over(totals, (round) => round[name].delay),
      rateRatio: over(totals, (round) => perSecond(round[name]) / perSecond(round[limit])),
      cpuRatio: over(totals, (round) => cpuPer(round[name]) / cpuPer(round[limit])),
    } satisfies Compared,
  ])
  return Object.fromEntries(compared)
}

/** @param what is counted, as in `events` */
export function comparedHead(what: string, limit: string): string[] {
  return ['', `${what}/s`, `against ${limit}`, `µs of processor per ${what.replace(/s$/, '')}`, `against ${limit}`]
}

export function comparedCells(
  { name, rate, rateRatio, cpu, cpuRatio }: Compared,
  titles: Record<string, string> = TITLES,
): string[] {
  return [titles[name]!, ...[rate, rateRatio, cpu, cpuRatio].map(showSpread)]
}

/** The two figures of this package that most rows have. */
export function comparedFigures(
  { rateRatio, cpuRatio }: Compared,
  {
    row,
    where,
    what,
    limit = 'bare',
    least,
    most,
  }: { row: string; where: string; what: string; limit?: string; least?: number; most?: number },
): Figure[] {
  return [
    { row, where, measure: `${what}/s against ${limit}`, value: rateRatio, ...(least !== undefined && { target: { least } }) },
    {
      row,
      where,
      measure: `processor time per ${what.replace(/s$/, '')} against ${limit}`,
      value: cpuRatio,
      ...(most !== undefined && { target: { most } }),
    },
  ]
}
