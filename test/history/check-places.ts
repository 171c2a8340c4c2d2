import { Doubts } from './doubts.js'
import { type Doc, emptyDocument, errorLabel, type History, type Operation, type Place, type Violation } from './history.js'

/** A change of one place: `undefined` for a delete. */
interface Write {
  value: string | undefined
  operation: Operation
}

/** What somebody saw at a place, at some moment between two. */
interface Sight {
  value: string | undefined
  from: number
  to: number
  who: string
  operation?: Operation
  /** What the reader has to have seen, of what was acknowledged before. */
  owes(operation: Operation): boolean
}

/** Keys and elements of arrays: each place holds what was last written to it, as far as the order is known. */
export function checkPlaces(history: History): Violation[] {
  const writes = new Map<string, Write[]>()
  const places = new Map<string, Place>()
  for (const operation of history.operations) {
    operation.changes.forEach((change, index) => {
      if (change.do === 'increment') return
      const name = errorLabel(change.place)
      places.set(name, change.place)
      const list = writes.get(name) ?? []
      writes.set(name, list)
      // Nothing was there to delete: it saw that, and did nothing.
      if (change.do === 'delete' && operation.effects?.[index] === false) return
      list.push({ value: change.do === 'set' ? change.value : undefined, operation })
    })
  }
  const violations: Violation[] = []
  const doubts = new Doubts(history.operations)
  const look = (place: Place, sight: Sight): void => {
    const violation = judge(place, sight, writes.get(errorLabel(place)) ?? [])
    if (violation) violations.push(violation)
  }
  for (const operation of history.operations) {
    if (operation.completed === undefined) continue
    const sight = sightOf(operation, doubts)
    operation.changes.forEach((change, index) => {
      if (change.do === 'delete' && operation.effects?.[index] === false) look(change.place, { ...sight, value: undefined })
    })
    if (operation.seen) survey(operation.seen, places, writes, sight, look, violations)
  }
  const end = { value: undefined, from: Infinity, to: Infinity, who: 'the store, at the end,', owes: () => true }
  survey(history.final!, places, writes, end, look, violations)
  return violations
}

function sightOf(operation: Operation, doubts: Doubts): Sight {
  const live = operation.via === 'live'
  const doubt = live ? doubts.since(operation) : Infinity
  return {
    value: undefined,
    from: operation.invoked,
    to: operation.completed!,
    who: `${operation.client} (operation ${operation.id}, process ${operation.process}, ${operation.via})`,
    operation,
    owes: (other) => !live || (other.process === operation.process && (other.via === 'live' || other.completed! < doubt)),
  }
}

/** Looks at everything in a document. */
function survey(
  document: Doc,
  places: Map<string, Place>,
  writes: Map<string, Write[]>,
  sight: Sight,
  look: (place: Place, sight: Sight) => void,
  violations: Violation[],
): void {
  const found = valuesIn(document)
  for (const [name, place] of places) look(place, { ...sight, value: found.get(name)?.[0] })
  for (const [name, values] of found) {
    const place = places.get(name)
    const operations = [...(writes.get(name) ?? []), ...(sight.operation ? [sight] : [])].map(({ operation }) => operation!)
    if (!place) violations.push({ what: `${sight.who} shows ${name}, which nobody wrote`, operations })
    if (values.length > 1) violations.push({ what: `${sight.who} shows ${name} ${values.length} times`, operations })
  }
}

function valuesIn(document: Doc): Map<string, string[]> {
  const found = new Map<string, string[]>()
  const { cookie: _cookie, bag, words, items, counters: _counters, ...top } = { ...emptyDocument(), ...document }
  const add = (name: string, value: string): void => void found.set(name, [...(found.get(name) ?? []), value])
  for (const [key, value] of Object.entries(top)) {
    if (/^list\d+$/.test(key)) for (const word of value) add(`${key}.${word}`, PRESENT)
    else if (/^made\d+$/.test(key))
      for (const [name, text] of Object.entries(value.inner ?? {})) add(`${key}.${name}`, text as string)
    else add(key, value)
  }
  for (const [key, value] of Object.entries(bag)) add(`bag.${key}`, value as string)
  for (const word of words) add(`words.${word}`, PRESENT)
  for (const { id, value } of items) add(`items.${id}`, value)
  return found
}

/** A word is all that is known of it. */
const PRESENT = '(there)'

function judge(place: Place, sight: Sight, writes: Write[]): Violation | undefined {
  const name = errorLabel(place)
  const same = ({ value }: Write): boolean => value === sight.value || (sight.value === PRESENT && value !== undefined)
  const candidates = writes.filter((write) => same(write) && write.operation.invoked < sight.to)
  const initially = sight.value === undefined
  const later = (since: number): Write | undefined =>
    writes.find(({ operation }) => {
      const { invoked, completed } = operation
      return completed !== undefined && invoked > since && completed < sight.from && sight.owes(operation)
    })
  const overwritten = candidates.map(({ operation }) => later(operation.completed ?? Infinity))
  if (initially) overwritten.push(later(-1))
  // One of those who could have written it was not overwritten before.
  if (overwritten.some((by) => by === undefined)) return undefined
  const shown = sight.value === undefined ? `lacks ${name}` : `shows ${name} = ${sight.value}`
  const why = overwritten.length === 0 ? 'which nobody had written' : explain(overwritten.at(-1)!, initially)
  const operations = [...new Set([...writes.map(({ operation }) => operation), ...(sight.operation ? [sight.operation] : [])])]
  return { what: `${sight.who} ${shown}, ${why}`, operations }
}

function explain({ operation, value }: Write, lacks: boolean): string {
  const did = value === undefined ? 'deleted' : 'set'
  const after = lacks ? 'and nobody asked to delete it afterwards' : 'after that'
  return `although operation ${operation.id} (${operation.client}, process ${operation.process}) had ${did} it, acknowledged, ${after}`
}
