import type { Store } from 'express-session'
import type { StoreDriver } from '../../../../src/driver.js'
import type { DriverFixture } from '../../../../src/driver-testing/index.js'
import { loadSqlDrivers } from '../../../../src/store/drivers/lazy-drivers.js'
import { isWrite, networkOf } from '../../../support/driver-network.js'
import type { TcpProxy } from '../../../support/tcp-proxy.js'

/** The driver of this package for a store in an SQL database. */
export function sqlDriverOf(store: object): StoreDriver {
  const found = loadSqlDrivers().sqlStore(store)
  if (!found) throw new Error('no driver')
  return found.driver()
}

/** @param second another store for the same sessions */
export function publicFixture(
  store: Store,
  left?: (sid: string) => Promise<number>,
  proxy?: TcpProxy,
  second?: Store,
): DriverFixture {
  return {
    driver: sqlDriverOf(store),
    store: store as never,
    ...(left && { left }),
    ...(second && { second: sqlDriverOf(second) }),
    ...(proxy && { network: networkOf(proxy, isWrite) }),
  }
}
