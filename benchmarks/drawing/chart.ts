import type { Spread } from '../statistics.js'
import { drawBars } from './bars.js'
import { drawLines } from './lines.js'

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
  /** What is to be reached. */
  target?: number
}

export interface BarChart extends Common {
  kind: 'bars'
  value: Axis
  groups: BarGroup[]
}

export type Chart = LineChart | BarChart

/** The chart as SVG: with a ground of its own, so that it can be read on a light page and on a dark one. */
export function draw(chart: Chart): string {
  return chart.kind === 'lines' ? drawLines(chart) : drawBars(chart)
}
