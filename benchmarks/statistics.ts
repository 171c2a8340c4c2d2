/** A median of several rounds, and between what they lay. */
export interface Spread {
  median: number
  low: number
  high: number
  rounds: number
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  const median = (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2
  return { median, low: sorted[0]!, high: sorted.at(-1)!, rounds: values.length }
}

export function median(values: readonly number[]): number {
  return spread(values).median
}

/** The spread of what `of` makes of each round. Ratios are made of figures of one round, and only then is their median taken. */
export function over<T>(rounds: readonly T[], of: (round: T) => number): Spread {
  return spread(rounds.map(of))
}

/**
 * One turn for each, again and again, the order reversed every other time: what gets slower or faster meanwhile does so for all.
 * @param turns how many turns each has
 */
export async function alternate<Name extends string>(
  turns: Record<Name, number>,
  turn: (name: Name, time: number) => Promise<void>,
): Promise<void> {
  const names = Object.keys(turns) as Name[]
  const most = Math.max(...(Object.values(turns) as number[]))
  for (let time = 0; time < most; time++) {
    for (const name of time % 2 ? [...names].reverse() : names) if (time < turns[name]) await turn(name, time)
  }
}

/** A figure of three digits that count. */
export function show(value: number): string {
  if (!Number.isFinite(value)) return '-'
  const size = Math.abs(value)
  if (size >= 1000) return Math.round(value).toLocaleString('en-US')
  if (size >= 100) return value.toFixed(0)
  if (size >= 10) return value.toFixed(1)
  if (size >= 0.1 || size === 0) return value.toFixed(2)
  return String(Number(value.toPrecision(2)))
}

/** With the lowest and the highest round. */
export function showSpread({ median, low, high, rounds }: Spread): string {
  return rounds > 1 ? `${show(median)} (${show(low)}–${show(high)})` : show(median)
}
