import type { LineChart } from './chart.js'
import { scaleOf } from './scale.js'
import { colourOf, element, legend, line, picture, SOFT, text, WIDTH } from './svg.js'

const LEFT = 78
const RIGHT = 28
const PLOT = 260

export function drawLines({ title, x, y, lines }: LineChart): string {
  const named = lines.map((line, index) => ({ ...line, colour: colourOf(line.name, index) }))
  const { drawn, bottom } = legend(named, 56)
  const top = bottom + 14
  const base = top + PLOT
  const values = lines.flatMap(({ points }) => points.flatMap(({ y }) => [y.median, y.low, y.high]))
  const vertical = scaleOf(values, y.log === true, base, top)
  const horizontal = scaleX(x)
  for (const { at, label } of vertical.ticks) {
    drawn.push(line(LEFT, at, WIDTH - RIGHT, at))
    drawn.push(text(LEFT - 8, at + 4, label, { 'text-anchor': 'end', fill: SOFT }))
  }
  for (const tick of x.ticks) {
    const at = horizontal(tick.at)
    drawn.push(line(at, base, at, base + 5, { stroke: SOFT }))
    drawn.push(text(at, base + 20, tick.label, { 'text-anchor': 'middle', fill: SOFT }))
  }
  const middle = top + PLOT / 2
  drawn.push(text((LEFT + WIDTH - RIGHT) / 2, base + 42, x.label, { 'text-anchor': 'middle' }))
  drawn.push(text(22, middle, y.label, { 'text-anchor': 'middle', transform: `rotate(-90 22 ${middle})` }))
  for (const { points, colour, dashed } of named) {
    const path = points.map(
      ({ x, y }, index) => `${index ? 'L' : 'M'}${horizontal(x).toFixed(1)} ${vertical.at(y.median).toFixed(1)}`,
    )
    drawn.push(
      element('path', {
        d: path.join(' '),
        fill: 'none',
        stroke: colour,
        'stroke-width': 2,
        ...(dashed && { 'stroke-dasharray': '6 4' }),
      }),
    )
    for (const { x, y } of points) {
      const at = horizontal(x)
      drawn.push(line(at, vertical.at(y.low), at, vertical.at(y.high), { stroke: colour, 'stroke-opacity': 0.5 }))
      drawn.push(element('circle', { cx: at, cy: vertical.at(y.median), r: 3.5, fill: colour }))
    }
  }
  return picture(title, base + 58, drawn)
}

function scaleX({ ticks, log }: LineChart['x']): (value: number) => number {
  const place = (value: number): number => (log ? Math.log10(value) : value)
  const low = place(ticks[0]!.at)
  const high = place(ticks.at(-1)!.at)
  const from = LEFT + 20
  const to = WIDTH - RIGHT - 20
  return (value) => (high === low ? (from + to) / 2 : from + ((place(value) - low) / (high - low)) * (to - from))
}
