import { foreignMethods, type Methods, methodOf } from '../../own-methods.js'
import type { KnownStore } from '../driver-names.js'
import { type Collection, guarded, type MessageCollection, messagesOf, type Sessions } from './collection.js'
import { MongoDriver } from './driver.js'
import { NATIVE_DOCUMENT } from './formats.js'

/** The public members of a connect-mongodb-session store. */
interface MongoDbStore {
  db: { collection(name: string): MessageCollection }
  collection: Collection
  options: { collection: string; idField: string; expiresKey: string; expires: number }
  /** Tells listeners of `error`, if there are any, and calls the callback. */
  _errorHandler(error: unknown, callback: () => void): void
}

const METHODS: Methods = {
  get: ['_errorHandler _generateQuery collection destroy expires message nextTick session'],
  set: [
    '_errorHandler _generateQuery catch collection cookie expires expiresKey getTime inspect message nextTick options session toJSON updateOne',
  ],
  destroy: ['_errorHandler _generateQuery catch collection deleteOne message nextTick'],
  _generateQuery: ['idField options'],
}

function isMongoDbStore(store: object): store is MongoDbStore {
  const { collection, options } = store as Partial<MongoDbStore>
  return typeof collection?.findOneAndUpdate === 'function' && typeof options?.idField === 'string'
}

/**
 * connect-mongodb-session; `undefined` for another store. With ids in another field than `_id` nothing keeps two processes from creating one
 * session twice, unless the application has made a unique index.
 */
export function mongoDbStore(store: object): KnownStore | undefined {
  if (!isMongoDbStore(store)) return undefined
  const foreign = foreignMethods(store, METHODS)
  return {
    name: 'connect-mongodb-session',
    // The package has none.
    foreign: methodOf(store, 'touch') === undefined ? foreign : [...foreign, 'touch'],
    unfit: store.options.idField !== '_id' && 'keeps its ids in another field than _id, which need not be unique',
    driver: () => new MongoDriver(new MongoDbStoreSessions(store)),
  }
}

/** The sessions of a connect-mongodb-session store. */
class MongoDbStoreSessions implements Sessions {
  readonly name = 'connect-mongodb-session'
  readonly format = NATIVE_DOCUMENT
  readonly touchAfter = 0
  readonly timestamps = false
  readonly writeConcern = undefined
  readonly #store: MongoDbStore

  constructor(store: MongoDbStore) {
    this.#store = store
  }

  get expiresField(): string {
    return this.#store.options.expiresKey
  }

  get ttl(): number {
    return this.#store.options.expires
  }

  async collection(): Promise<Collection> {
    return this.#store.collection
  }

  async messages(): Promise<MessageCollection> {
    return this.#store.db.collection(messagesOf(this.#store.options.collection))
  }

  idOf(sid: string): string {
    return sid
  }

  failed(error: unknown): void {
    guarded(() => this.#store._errorHandler(error, () => undefined))
  }
}
