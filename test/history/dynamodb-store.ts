import type { Store } from 'express-session'
import type { StoreDriver } from '../../src/driver.js'
import { dynamodbDriver } from '../../src/store/drivers/dynamodb/driver.js'
import { itemOf, type Opened, open } from '../store/drivers/dynamodb/fixture.js'
import type { Reader } from './history.js'

export const openDynamoDb = (url: string): Promise<Opened> => open(Number(new URL(url).port))

/** Its driver is given by the option. */
export const driverOfDynamoDb = (store: Store): StoreDriver => dynamodbDriver(store)

export async function readDynamoDb(url: string): Promise<Reader> {
  const store = await openDynamoDb(url)
  return {
    async read(sid) {
      const item = await itemOf(store, sid)
      return item && JSON.parse(item.sess.S)
    },
    close: async () => store.client.destroy(),
  }
}
