import type { Bus } from './bus.js'
import type { Stats } from './types.js'

/** Of a bus of this package: the name of it in `stats()`. */
export const BUS_NAME = Symbol('name of a bus')

type BusName = Exclude<Stats['bus'], 'own' | false>

/** @returns `'own'` for a bus of the application's */
export function busName(bus: Bus & { readonly [BUS_NAME]?: BusName }): BusName | 'own' {
  return bus[BUS_NAME] ?? 'own'
}
