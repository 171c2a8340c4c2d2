import MongoStore from 'connect-mongo'
import connectMongoDbSession from 'connect-mongodb-session'
import expressSession, { type Store } from 'express-session'
import { MongoClient } from 'mongodb'
import type { Backend, Reader } from './history.js'

const MongoDbStore = connectMongoDbSession(expressSession)

async function openMongoDbStore(url: string): Promise<Store> {
  const store = new MongoDbStore({ uri: url, collection: 'sessions' } as never)
  store.on('error', () => undefined)
  await new Promise((resolve) => store.once('connected', resolve))
  return store
}

async function openMongoStore(url: string, stringify: boolean): Promise<Store> {
  return MongoStore.create({ client: await MongoClient.connect(url), stringify })
}

async function readMongo(url: string): Promise<Reader> {
  const client = await MongoClient.connect(url)
  const sessions = client.db().collection<{ _id: string; session: any }>('sessions')
  return {
    async read(sid) {
      const { session } = (await sessions.findOne({ _id: sid })) ?? {}
      return typeof session === 'string' ? JSON.parse(session) : session
    },
    close: () => client.close(),
  }
}

export const MONGO_STORES = {
  'connect-mongo': { open: (url) => openMongoStore(url, true), read: readMongo },
  'connect-mongo-documents': { open: (url) => openMongoStore(url, false), read: readMongo },
  'connect-mongodb-session': { open: openMongoDbStore, read: readMongo },
} satisfies Record<string, Backend>
