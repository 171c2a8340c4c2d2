import { show } from '../statistics.js'

export interface Scale {
  /** Where a value is, in pixels. */
  at(value: number): number
  ticks: { at: number; label: string }[]
}

/** @param from the pixel of the lowest value. @param to that of the highest */
export function scaleOf(values: number[], log: boolean, from: number, to: number): Scale {
  return log ? logarithmic(values, from, to) : linear(values, from, to)
}

/** From nothing. */
function linear(values: number[], from: number, to: number): Scale {
  const highest = Math.max(...values, 0)
  const lowest = Math.min(...values, 0)
  const step = nice((highest - lowest || 1) / 5)
  const bottom = Math.floor(lowest / step + 1e-9) * step
  const top = Math.max(bottom + step, Math.ceil(highest / step - 1e-9) * step)
  const at = (value: number): number => from + ((value - bottom) / (top - bottom)) * (to - from)
  const count = Math.round((top - bottom) / step)
  const ticks = Array.from({ length: count + 1 }, (_, index) => bottom + index * step)
  return { at, ticks: ticks.map((value) => ({ at: at(value), label: label(value) })) }
}

function logarithmic(values: number[], from: number, to: number): Scale {
  const positive = values.filter((value) => value > 0)
  const lowest = Math.floor(Math.log10(Math.min(...positive)) + 1e-9)
  const highest = Math.max(lowest + 1, Math.ceil(Math.log10(Math.max(...positive)) - 1e-9))
  const at = (value: number): number => {
    const place = (Math.log10(Math.max(value, 10 ** lowest)) - lowest) / (highest - lowest)
    return from + place * (to - from)
  }
  const ticks = Array.from({ length: highest - lowest + 1 }, (_, index) => 10 ** (lowest + index))
  return { at, ticks: ticks.map((value) => ({ at: at(value), label: label(value) })) }
}

function nice(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step))
  return power * ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= step - power * 1e-9) as number)
}

function label(value: number): string {
  return Math.abs(value) >= 1000 ? show(value) : String(Number(value.toPrecision(3)))
}
