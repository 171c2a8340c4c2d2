import MongoStore from 'connect-mongo'
import MongoStore4 from 'connect-mongo4'
import MongoStore5 from 'connect-mongo5'
import { MongoClient } from 'mongodb'
import { MongoClient as MongoClient4 } from 'mongodb4'
import { MongoClient as MongoClient7 } from 'mongodb7'
import { afterEach, describe, expect, it } from 'vitest'
import { MongoWireServer } from './mongo-wire.js'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

describe.each<[string, any, any]>([
  ['connect-mongo 6 on mongodb 7', MongoStore, MongoClient7],
  ['connect-mongo 6 on mongodb 6', MongoStore, MongoClient],
  ['connect-mongo 5 on mongodb 6', MongoStore5, MongoClient],
  ['connect-mongo 4 on mongodb 4', MongoStore4, MongoClient4],
])('%s', (_title, Store, Client) => {
  it.each([{}, { isReplicaSet: true }, { wireVersion: 9 }])('sets, gets, touches and destroys: %j', async (options) => {
    const server = await MongoWireServer.start(options)
    ends.push(() => server.stop())
    const client = new Client(`mongodb://127.0.0.1:${server.port}/?directConnection=true`)
    await client.connect()
    ends.push(() => client.close())
    const store = Store.create({ client })
    const call = (name: string, ...args: unknown[]): Promise<any> =>
      new Promise((resolve, reject) => store[name](...args, (error: any, value: any) => (error ? reject(error) : resolve(value))))
    const cookie = { expires: new Date(Date.now() + 60_000) }
    expect(await call('get', 'a')).toBe(null)
    await call('set', 'a', { cookie, n: 1 })
    await call('set', 'a', { cookie, n: 2 })
    expect(await call('get', 'a')).toMatchObject({ n: 2 })
    await call('touch', 'a', { cookie: { expires: new Date(0) } })
    expect(await call('get', 'a')).toBe(null)
    expect(server.data.documents('sessions').size).toBe(1)
    await call('destroy', 'a')
    expect(server.data.documents('sessions').size).toBe(0)
    await expect(call('touch', 'a', { cookie })).rejects.toThrow('Unable to find')
  })
})
