import MongoStore from 'connect-mongo'
import type { Store } from 'express-session'
import { MongoClient } from 'mongodb'
import type { Reader } from './history.js'

export type MongoStoreName = 'connect-mongo' | 'connect-mongo-documents'

export function isMongoStore(name: string): name is MongoStoreName {
  return name.startsWith('connect-mongo')
}

export async function openMongoStore(name: MongoStoreName, url: string): Promise<Store> {
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
