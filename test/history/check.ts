import { checkCounters } from './check-counters.js'
import { checkPlaces } from './check-places.js'
import { LOST } from './clients.js'
import type { History, Violation } from './history.js'

/**
 * Finds what a history shows to be wrong. What was not acknowledged may have happened, may happen later, or never; what was
 * acknowledged happened once, between the moment it was asked for and the acknowledgement.
 * @returns the violations, the earliest first; those of the final document last
 */
export function checkHistory(history: History): Violation[] {
  const lost = history.operations.filter(({ error }) => error === LOST)
  const violations = lost.map((operation) => ({ what: `operation ${operation.id}: ${LOST}`, operations: [operation] }))
  if (history.final === undefined)
    return [...violations, { what: 'the store does not hold the session any more', operations: [] }]
  violations.push(...checkPlaces(history), ...checkCounters(history))
  if (history.destroyed && history.afterwards !== undefined) {
    const what = `the destroyed session is in the store again: ${JSON.stringify(history.afterwards).slice(0, 2000)}`
    violations.push({ what, operations: history.operations.slice(-10) })
  }
  return violations
}
