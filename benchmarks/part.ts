import type { Chart } from './drawing/chart.js'
import type { Spread } from './statistics.js'
import type { Urls } from './stores.js'

/** What a part measures with. */
export interface Bench {
  /** Only to see that everything runs: nothing that comes out means anything. */
  quick: boolean
  /** How many rounds, where that is not the part's to say. */
  rounds?: number | undefined
  /** Only these stores. */
  stores?: string[] | undefined
  urls: Required<Urls>
  /** Says on stderr what is being done. */
  progress(text: string): void
}

/** One figure with what it is to reach. */
export interface Figure {
  /** The row of the targets. */
  row: string
  /** Size, store and whatever else tells it from the others of its row. */
  where: string
  measure: string
  value: Spread
  unit?: string
  target?: { least: number } | { most: number }
}

export interface Table {
  caption: string
  head: string[]
  rows: string[][]
}

/** What a part has found. */
export interface Findings {
  figures: Figure[]
  tables: Table[]
  charts: Chart[]
}

export interface Part {
  /** As `--only` names it. */
  name: string
  title: string
  /** How it is measured, for whoever reads the figures. */
  about: string
  run(bench: Bench): Promise<Findings>
}

export function reached({ value, target }: Figure): boolean | undefined {
  if (!target) return undefined
  return 'least' in target ? round(value.median) >= target.least : round(value.median) <= target.most
}

/** To the digits that are shown. */
function round(value: number): number {
  return Math.round(value * 100) / 100
}

export function join(findings: Findings[]): Findings {
  return {
    figures: findings.flatMap(({ figures }) => figures),
    tables: findings.flatMap(({ tables }) => tables),
    charts: findings.flatMap(({ charts }) => charts),
  }
}
