import type { KnownStore } from '../driver-names.js'
import { connectMongoStore } from './connect-mongo.js'
import { mongoDbStore } from './connect-mongodb-session.js'

/** A store of connect-mongo or connect-mongodb-session; `undefined` for another store. */
export function mongoStore(store: object): KnownStore | undefined {
  return connectMongoStore(store) ?? mongoDbStore(store)
}
