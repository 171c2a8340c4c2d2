import type { StoreDriver } from '../store-driver.js'
import { isPlainMongoStore, MongoStoreSessions } from './connect-mongo.js'
import { isPlainMongoDbStore, MongoDbStoreSessions } from './connect-mongodb-session.js'
import { MongoDriver } from './driver.js'

/** The driver for connect-mongo and connect-mongodb-session; `undefined` for another store. */
export function mongoDriver(store: object): StoreDriver | undefined {
  if (isPlainMongoStore(store)) return new MongoDriver(new MongoStoreSessions(store))
  return isPlainMongoDbStore(store) ? new MongoDriver(new MongoDbStoreSessions(store)) : undefined
}
