import type { Spread } from '../statistics.js'

export interface Axis {
  label: string
  log?: boolean
}

interface Common {
  /** The name of its file, without an ending. */
  file: string
  title: string
}

/** A thing of which several are compared; its name decides its colour. */
export interface Line {
  name: string
  dashed?: boolean
  points: { x: number; y: Spread }[]
}

export interface LineChart extends Common {
  kind: 'lines'
  x: Axis & { ticks: { at: number; label: string }[] }
  y: Axis
  lines: Line[]
}

export interface BarGroup {
  label: string
  bars: { name: string; value: Spread }[]
}

export interface BarChart extends Common {
  kind: 'bars'
  value: Axis
  groups: BarGroup[]
}

export type Chart = LineChart | BarChart
