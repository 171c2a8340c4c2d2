import type { PostgresServer } from '../driver.js'
import type { StoreDriver } from '../store-driver.js'
import { knexDriver } from './knex.js'

/** The driver for a store that keeps its sessions in an SQL database; `undefined` for any other one. */
export function sqlDriver(store: object): { driver: StoreDriver; postgres?: PostgresServer } | undefined {
  return knexDriver(store)
}
