import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import connectDynamoDb from 'connect-dynamodb'
import MongoStore from 'connect-mongo'
import expressSession from 'express-session'
import { afterEach, expect, it } from 'vitest'
import sharedsession, { type SharedSession } from '../../src/index.js'
import { dynamodbDriver } from '../../src/store/drivers/dynamodb/driver.js'
import { startDynalite } from '../support/dynalite.js'
import { MongoWireServer } from '../support/mongo-wire.js'
import { cleanup, cookieOf, listen, surroundings, tidy } from './scene.js'
import { run } from './snippets.js'

afterEach(tidy)

const given = { expressSession, sharedsession }

async function keepsVisits({ session, shared }: { session: any; shared: SharedSession }): Promise<void> {
  const around = surroundings()
  around.app.use(session)
  around.app.get('/visit', (req, res) => {
    req.session.visits = (req.session.visits ?? 0) + 1
    res.json({ visits: req.session.visits })
  })
  const url = await listen(around, shared)
  const first = await fetch(`${url}/visit`)
  const second = await fetch(`${url}/visit`, { headers: { cookie: cookieOf(first)! } })
  expect(await second.json()).toEqual({ visits: 2 })
}

it('MongoDB: the store is recognized', async () => {
  const server = await MongoWireServer.start()
  cleanup(() => server.stop())
  const process = { env: { MONGODB_URL: `mongodb://127.0.0.1:${server.port}/test` } }
  const made = await run('mongo', { ...given, MongoStore, process }, 'store', 'session', 'shared')
  cleanup(() => made.store.close())
  await made.store.collectionP
  await keepsVisits(made)
  expect(made.shared.stats().driver).toBe('connect-mongo')
})

it('DynamoDB: the store is written by the driver of sharedsession/dynamodb', async () => {
  const server = await startDynalite()
  cleanup(() => server.stop())
  class Client extends DynamoDBClient {
    constructor(options: object) {
      super({ region: 'local', credentials: { accessKeyId: 'id', secretAccessKey: 'secret' }, ...options })
    }
  }
  const process = { env: { DYNAMODB_URL: `http://127.0.0.1:${server.port}` } }
  const around = { ...given, DynamoDBClient: Client, connectDynamoDb, dynamodbDriver, process }
  const made = await run('dynamodb', around, 'client', 'session', 'shared')
  cleanup(() => made.client.destroy())
  await keepsVisits(made)
  expect(made.shared.stats().driver).toBe('connect-dynamodb')
})
