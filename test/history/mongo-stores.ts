import MongoStore from 'connect-mongo'
import connectMongoDbSession from 'connect-mongodb-session'
import expressSession, { type Store } from 'express-session'
import { MongoClient } from 'mongodb'
import type { Reader } from './history.js'

export type MongoStoreName = 'connect-mongo' | 'connect-mongo-documents' | 'connect-mongodb-session'

const MongoDbStore = connectMongoDbSession(expressSession)

export function isMongoStore(name: string): name is MongoStoreName {
  return name.startsWith('connect-mongo')
}

export async function openMongoStore(name: MongoStoreName, url: string): Promise<Store> {
  if (name === 'connect-mongodb-session') {
    const store = new MongoDbStore({ uri: url, collection: 'sessions' } as never)
    store.on('error', () => undefined)
    await new Promise((resolve) => store.once('connected', resolve))
    return store
  }
  const client = await MongoClient.connect(url)
  return MongoStore.create({ client, stringify: name === 'connect-mongo' })
}

export async function readMongo(url: string): Promise<Reader> {
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
