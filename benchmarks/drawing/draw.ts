import { drawBars } from './bars.js'
import type { Chart } from './chart.js'
import { drawLines } from './lines.js'

/** The chart as SVG: with a ground of its own, so that it can be read on a light page and on a dark one. */
export function draw(chart: Chart): string {
  return chart.kind === 'lines' ? drawLines(chart) : drawBars(chart)
}
