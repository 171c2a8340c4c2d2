import type { StoreDriver } from './store-driver.js'

/** Packages whose stores have a driver of the same name. */
const PACKAGES = [
  'connect-session-knex',
  'express-mysql-session',
  'connect-session-sequelize',
  'connect-sqlite3',
  'better-sqlite3-session-store',
  'connect-mongo',
  'connect-mongodb-session',
] as const

export type PackageName = (typeof PACKAGES)[number]

/** The values of the option `driver`, beside drivers. */
export const DRIVER_NAMES = ['redis', 'postgres', ...PACKAGES, 'generic'] as const

export type DriverName = (typeof DRIVER_NAMES)[number]

/** The package whose stores the driver writes. */
export function packageOf(name: Exclude<DriverName, 'generic'>): string {
  if (name === 'redis') return 'connect-redis'
  return name === 'postgres' ? 'connect-pg-simple' : name
}

/** A store of a package that has a driver, by its members. */
export interface KnownStore {
  readonly name: Exclude<DriverName, 'generic'>
  /** The methods that are not the package's own. A driver calls none, so that it leaves them out. */
  readonly foreign: readonly string[]
  /** How the store is set up that its driver cannot write it, as the end of a sentence. */
  readonly unfit?: string | false
  driver(): StoreDriver
}
