import connectMongo from 'connect-mongo'
import connectMongo4 from 'connect-mongo4'
import connectMongo5 from 'connect-mongo5'
import connectMongoDbSession from 'connect-mongodb-session'
import expressSession, { type Store } from 'express-session'
import { MongoClient } from 'mongodb'
import { MongoClient as MongoClient4 } from 'mongodb4'
import { MongoClient as MongoClient7 } from 'mongodb7'
import { mongoUrl } from '../../../support/mongo.js'

/** A store on a server, and how to leave it. */
export interface Opened {
  store: Store
  close(): Promise<unknown>
}

export type Options = Record<string, unknown>
/** @param settings of the client */
export type Open = (port: number, options?: Options, settings?: Record<string, string>) => Promise<Opened>

const MongoDbStore = connectMongoDbSession(expressSession)

// The types of several versions of the clients are no types of one another.
const open =
  (Store: any, Client: any): Open =>
  async (port, options = {}, settings) => {
    const client = new Client(mongoUrl(port, settings))
    await client.connect()
    const store = Store.create({ client, ...options })
    // Its index is made by then.
    await store.collectionP
    return { store, close: () => client.close() }
  }

export const connectMongo6: Open = open(connectMongo, MongoClient)
export const connectMongo6OnClient7: Open = open(connectMongo, MongoClient7)
export const connectMongo5OnClient6: Open = open(connectMongo5, MongoClient)
export const connectMongo4OnClient4: Open = open(connectMongo4, MongoClient4)

export const mongoDbSession: Open = async (port, options = {}, settings) => {
  const store = new MongoDbStore({ uri: mongoUrl(port, settings), collection: 'sessions', ...options } as never)
  await new Promise((resolve) => store.once('connected', resolve))
  return { store, close: () => (store as unknown as { client: MongoClient }).client.close() }
}

/** Is this a conditional write, as it comes to the server? */
export function isWrite(request: Buffer): boolean {
  return request.includes('findAndModify') || request.includes('updates')
}
