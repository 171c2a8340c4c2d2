import { show } from '../statistics.js'
import type { BarChart } from './chart.js'
import { scaleOf } from './scale.js'
import { colourOf, element, INK, legend, line, picture, SOFT, text, WIDTH, widthOf } from './svg.js'

const BAR = 13
const GAP = 14
const RIGHT = 70

/** Lying bars, so that there is room for what they are called. */
export function drawBars({ title, value: axis, groups }: BarChart): string {
  const names = [...new Set(groups.flatMap(({ bars }) => bars.map(({ name }) => name)))]
  const colours = new Map(names.map((name, index) => [name, colourOf(name, index)]))
  const named = names.map((name) => ({ name, colour: colours.get(name)! }))
  const { drawn, bottom } = legend(named, 56)
  const left = 24 + Math.max(...groups.map(({ label }) => widthOf(label)))
  const top = bottom + 8
  const height = groups.reduce((sum, { bars }) => sum + bars.length * BAR + GAP, 0)
  const base = top + height
  const values = groups.flatMap(({ bars }) => bars.flatMap(({ value }) => [value.low, value.high]))
  const scale = scaleOf(values, axis.log === true, left, WIDTH - RIGHT)
  for (const { at, label } of scale.ticks) {
    drawn.push(line(at, top, at, base))
    drawn.push(text(at, base + 18, label, { 'text-anchor': 'middle', fill: SOFT }))
  }
  const zero = axis.log ? left : scale.at(0)
  let y = top + GAP / 2
  for (const { label, bars } of groups) {
    drawn.push(text(left - 10, y + (bars.length * BAR) / 2 + 4, label, { 'text-anchor': 'end' }))
    for (const { name, value } of bars) {
      const end = scale.at(value.median)
      const bar = { x: Math.min(zero, end), y: y + 1, width: Math.max(1, Math.abs(end - zero)), height: BAR - 2, rx: 1.5 }
      drawn.push(element('rect', { ...bar, fill: colours.get(name)! }))
      const middle = y + BAR / 2
      const whisker = value.rounds > 1 ? scale.at(value.high) : end
      drawn.push(line(scale.at(value.low), middle, whisker, middle, { stroke: INK, 'stroke-opacity': 0.55 }))
      const far = Math.max(end, whisker, zero)
      drawn.push(text(far + 6, middle + 4, show(value.median), { 'font-size': 11 }))
      y += BAR
    }
    y += GAP
  }
  drawn.push(line(zero, top, zero, base, { stroke: SOFT }))
  drawn.push(text((left + WIDTH - RIGHT) / 2, base + 40, axis.label, { 'text-anchor': 'middle' }))
  return picture(title, base + 56, drawn)
}
