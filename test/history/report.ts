import { type Change, errorLabel, type Operation, type Violation } from './history.js'
import type { Outcome, RunOptions } from './run.js'

/** Says what was found, with the operations concerned, and how to see it again. */
export function report({ history, violations, refusals }: Outcome, options: RunOptions): string {
  const { operations } = history
  const acknowledged = operations.filter(({ completed }) => completed !== undefined).length
  const { store, seed, processes, seconds, steps } = options
  const head = `${store}, ${processes} processes, seed ${seed}: ${operations.length} operations, ${acknowledged} acknowledged${refusals === undefined ? '' : `, ${refusals} writes done again`}`
  const first = violations[0]
  if (!first) return `${head}, no violation`
  const length = seconds === undefined ? `--steps ${steps}` : `--seconds ${seconds}`
  const only = `${options.merge === false ? ' --no-merge' : ''}${options.driver ? ' --without-driver' : ''}`
  const calm = options.chaos ? '' : ' --calm'
  return [
    `${head}, ${violations.length} violations. The first:`,
    `  ${first.what}`,
    ...relevant(first).map((operation) => `    ${describe(operation)}`),
    ...violations.slice(1, 6).map(({ what }) => `  also: ${what.slice(0, 300)}`),
    `Replay the schedule: npm run torture -- --store ${store} --seed ${seed} --processes ${processes} ${length}${calm}${only}`,
  ].join('\n')
}

function relevant({ operations }: Violation): Operation[] {
  return operations.toSorted((a, b) => a.invoked - b.invoked).slice(0, 12)
}

function describe(operation: Operation): string {
  const { id, client, process, via, by, invoked, completed, changes, effects } = operation
  const time = `[${invoked}-${completed ?? `: not acknowledged, ${operation.error ?? 'never answered'}`}]`
  const did = changes.length === 0 ? 'read' : changes.map((change, index) => tell(change, effects?.[index])).join(', ')
  const how = [
    operation.resave && 'resave: true',
    operation.saveAfter && `save() after ${operation.saveAfter}`,
    operation.before && `${operation.before} ms before`,
    operation.after && `${operation.after} ms after`,
  ].filter(Boolean)
  const ways = how.length > 0 ? ` (${how.join('; ')})` : ''
  return `${time} operation ${id}: ${client} on process ${process}, ${via} by ${by}: ${did}${ways}`
}

function tell(change: Change, effect: boolean | number | undefined): string {
  if (change.do === 'increment') return `counters.${change.counter}++ -> ${effect ?? '?'}`
  const name = errorLabel(change.place)
  if (change.do === 'set') return `${name} = ${change.value}`
  return `delete ${name}${effect === false ? ' (was not there)' : ''}`
}
