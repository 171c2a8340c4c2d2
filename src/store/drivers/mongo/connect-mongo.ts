import { foreignMethods, type Methods } from '../../own-methods.js'
import type { KnownStore } from '../driver-names.js'
import {
  type Collection,
  type Doc,
  type Format,
  guarded,
  type MessageCollection,
  messagesOf,
  type Sessions,
} from './collection.js'
import { MongoDriver } from './driver.js'
import { EncryptedText, JSON_TEXT, NATIVE_DOCUMENT } from './formats.js'

/** The members of a connect-mongo store: public, or private in its types only. */
interface MongoStore {
  clientP: Promise<{ db(name?: string): { collection(name: string): MessageCollection } }>
  collectionP: Promise<Collection>
  options: {
    dbName?: string
    collectionName: string
    ttl: number
    touchAfter: number
    stringify: boolean
    timestamps?: boolean
    crypto?: { secret?: unknown }
    serialize?: unknown
    unserialize?: unknown
    writeOperationOptions?: { w?: unknown }
  }
  computeStorageId(sid: string): unknown
  /** Replaces the encrypted field `session` of a document. */
  decryptSession(document: Doc): Promise<void>
  emit(event: string, sid: string, session?: unknown): unknown
  listenerCount(event: string): number
  /** 4 and 5. */
  crypto?: { set(secret: unknown, payload: unknown, done: (error: unknown, encrypted: string) => void): void } | null
  /** 6. */
  cryptoAdapter?: { encrypt(text: string): Promise<string> } | null
  serializeForCrypto?(payload: unknown): string
}

/** 4.5 to 5.1; 6. */
const METHODS: Methods = {
  get: [
    'catch collectionP computeStorageId crypto decryptSession emit findOne lastModified options session touchAfter transformFunctions unserialize',
    'collectionP computeStorageId cryptoAdapter decryptSession emit findOne lastModified options session touchAfter transformFunctions unserialize',
  ],
  set: [
    '_id bind catch collectionP computeStorageId cookie crypto default emit expires g lastModified now options promisify secret serialize session set touchAfter transformFunctions ttl updateOne upsertedCount writeOperationOptions',
    '$currentDate $setOnInsert _id collectionP computeStorageId cryptoAdapter emit encrypt expires lastModified options serialize serializeForCrypto session timestamps touchAfter transformFunctions ttl updateOne upsertedCount writeOperationOptions',
  ],
  touch: [
    'collectionP computeStorageId cookie emit expires getTime lastModified matchedCount now options touchAfter ttl updateOne writeOperationOptions',
    '$currentDate collectionP computeStorageId emit expires getTime lastModified matchedCount options timestamps touchAfter ttl updateOne writeOperationOptions',
  ],
  destroy: ['catch collectionP computeStorageId deleteOne emit options then writeOperationOptions'],
}

function isMongoStore(store: object): store is MongoStore {
  const { collectionP, options, computeStorageId, decryptSession } = store as Partial<MongoStore>
  if (typeof collectionP?.then !== 'function' || typeof options !== 'object' || options === null) return false
  return typeof computeStorageId === 'function' && typeof decryptSession === 'function'
}

/** connect-mongo; `undefined` for another store. With functions of the application's that serialize, only its methods know what it keeps. */
export function connectMongoStore(store: object): KnownStore | undefined {
  if (!isMongoStore(store)) return undefined
  const { serialize, unserialize } = store.options
  return {
    name: 'connect-mongo',
    foreign: foreignMethods(store, METHODS),
    unfit: Boolean(serialize || unserialize) && 'has functions that serialize, and only they know what it keeps',
    driver: () => new MongoDriver(new MongoStoreSessions(store)),
  }
}

/** The sessions of a connect-mongo store. */
class MongoStoreSessions implements Sessions {
  readonly name = 'connect-mongo'
  readonly expiresField = 'expires'
  readonly format: Format
  readonly #store: MongoStore

  constructor(store: MongoStore) {
    this.#store = store
    if (store.crypto || store.cryptoAdapter) this.format = encrypted(store)
    else this.format = store.options.stringify === false ? NATIVE_DOCUMENT : JSON_TEXT
  }

  get ttl(): number {
    return this.#store.options.ttl * 1000
  }

  get touchAfter(): number {
    return this.#store.options.touchAfter * 1000
  }

  get timestamps(): boolean {
    return this.#store.options.timestamps === true
  }

  get writeConcern(): { w?: unknown } | undefined {
    return this.#store.options.writeOperationOptions
  }

  collection(): Promise<Collection> {
    return this.#store.collectionP
  }

  async messages(): Promise<MessageCollection> {
    const { clientP, collectionP, options } = this.#store
    await collectionP
    return (await clientP).db(options.dbName).collection(messagesOf(options.collectionName))
  }

  idOf(sid: string): unknown {
    return this.#store.computeStorageId(sid)
  }

  emit(event: string, sid: string, session?: () => unknown): void {
    const store = this.#store
    if (store.listenerCount(event) > 0) guarded(() => store.emit(event, sid, ...(session ? [session()] : [])))
  }
}

/** By the store's own functions, which have its secret. */
function encrypted(store: MongoStore): Format {
  const { crypto, cryptoAdapter, options } = store
  const payloadOf = (text: string): unknown => (options.stringify === false ? JSON.parse(text) : text)
  const encrypt = async (text: string): Promise<string> => {
    const payload = payloadOf(text)
    if (cryptoAdapter) return cryptoAdapter.encrypt(store.serializeForCrypto?.(payload) ?? text)
    return new Promise((resolve, reject) => {
      crypto?.set(options.crypto?.secret, payload, (error, encrypted) => (error ? reject(asError(error)) : resolve(encrypted)))
    })
  }
  const decrypt = async (session: string): Promise<string> => {
    const document: Doc = { session }
    await store.decryptSession(document)
    return typeof document.session === 'string' ? document.session : JSON.stringify(document.session)
  }
  return new EncryptedText(encrypt, decrypt)
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
