import type { StoreDriver } from '../store-driver.js'

/** The driver for a store that keeps its sessions in an SQL database; `undefined` for any other one. */
export function sqlDriver(_store: object): StoreDriver | undefined {
  return undefined
}
