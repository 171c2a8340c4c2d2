import { dynamodbDriver } from '../../src/store/drivers/dynamodb/driver.js'
import { itemOf, open } from '../store/drivers/dynamodb/fixture.js'
import type { Backend } from './history.js'

const openDynamoDb = (url: string) => open(Number(new URL(url).port))

export const DYNAMODB_STORE: Backend = {
  open: openDynamoDb,
  options: (store) => ({ driver: dynamodbDriver(store) }),
  async read(url) {
    const store = await openDynamoDb(url)
    return {
      async read(sid) {
        const item = await itemOf(store, sid)
        return item && JSON.parse(item.sess.S)
      },
      close: async () => store.client.destroy(),
    }
  },
}
