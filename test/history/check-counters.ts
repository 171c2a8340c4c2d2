import { Doubts } from './doubts.js'
import { emptyDocument, type History, type Operation, type Violation } from './history.js'

interface Reading {
  value: number
  operation: Operation
  /** It is the result of this operation's own increment. */
  own: boolean
}

/** Counters that only `update()` increments, by one each time. */
export function checkCounters(history: History): Violation[] {
  return Object.keys(emptyDocument().counters).flatMap((counter) => checkCounter(counter, history))
}

function checkCounter(counter: string, { operations, final }: History): Violation[] {
  const violations: Violation[] = []
  const add = (what: string, involved: Operation[]): void =>
    void violations.push({ what: `counter ${counter}: ${what}`, operations: involved })
  const increments = operations.flatMap((operation) =>
    operation.changes.filter((change) => change.do === 'increment' && change.counter === counter).map(() => operation),
  )
  const acknowledged = increments.filter(({ completed }) => completed !== undefined)
  const readings = operations.flatMap((operation) => readingsOf(operation, counter))
  const results = new Map<number, Operation>()
  const doubts = new Doubts(operations)
  for (const { value, operation, own } of readings) {
    const live = operation.via === 'live' && !own
    const doubt = live ? doubts.since(operation) : Infinity
    // A live session owes what its own process did.
    const before = acknowledged.filter(
      (one) => one.completed! < operation.invoked && (!live || (one.process === operation.process && one.completed! < doubt)),
    )
    const begun = increments.filter((one) => one.invoked < operation.completed!)
    const least = before.length + (own ? 1 : 0)
    if (value < least || !(value <= begun.length)) {
      const what = `operation ${operation.id} (${operation.client}) shows ${value}, where ${least} to ${begun.length} were possible`
      add(what, [...before.slice(-3), operation])
    }
    if (!own) continue
    const other = results.get(value)
    if (other) add(`operations ${other.id} and ${operation.id} both made it ${value}: one of them is lost`, [other, operation])
    results.set(value, operation)
  }
  backwards(readings, add)
  const value = final!.counters?.[counter]
  if (!(value >= acknowledged.length && value <= increments.length)) {
    const open = increments.length - acknowledged.length
    const unanswered = increments.filter(({ completed }) => completed === undefined).slice(0, 10)
    add(
      `the store, at the end, holds ${value}, after ${acknowledged.length} acknowledged increments and ${open} others`,
      unanswered,
    )
  }
  return violations
}

/** For one client it never goes back. Reads of a live session are compared among themselves: another process may be ahead of it. */
function backwards(readings: Reading[], add: (what: string, operations: Operation[]) => void): void {
  const last = new Map<string, Reading>()
  for (const reading of readings) {
    const { operation, own, value } = reading
    const reader = `${operation.client} ${operation.via === 'live' && !own ? 'live' : ''}`
    const before = last.get(reader)
    if (before && value < before.value)
      add(`went back from ${before.value} to ${value} for ${operation.client}`, [before.operation, operation])
    last.set(reader, reading)
  }
}

/** In the order in which the client made them: its operations follow each other. */
function readingsOf(operation: Operation, counter: string): Reading[] {
  if (operation.completed === undefined) return []
  if (operation.seen) return [{ value: operation.seen.counters?.[counter] ?? NaN, operation, own: false }]
  return operation.changes.flatMap((change, index) => {
    const value = operation.effects?.[index]
    const mine = change.do === 'increment' && change.counter === counter && typeof value === 'number'
    return mine ? [{ value, operation, own: true }] : []
  })
}
