import { DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb'
import connectDynamoDb from 'connect-dynamodb'
import expressSession, { type Store } from 'express-session'

const DynamoDbStore = connectDynamoDb(expressSession as never) as unknown as new (
  options: object,
) => Store & { initialize(): Promise<void>; client: DynamoDBClient; table: string; hashKey: string; prefix: string }

function clientOf(port: number): DynamoDBClient {
  return new DynamoDBClient({
    endpoint: `http://127.0.0.1:${port}`,
    region: 'local',
    credentials: { accessKeyId: 'id', secretAccessKey: 'secret' },
  })
}

export type Opened = InstanceType<typeof DynamoDbStore>

export async function open(port: number, options: object = {}): Promise<Opened> {
  const store = new DynamoDbStore({ client: clientOf(port), ...options })
  await store.initialize()
  return store
}

/** An item of the store's table. */
export async function itemOf({ client, table, hashKey, prefix }: Opened, sid: string): Promise<Record<string, any> | undefined> {
  const key = { [hashKey]: { S: prefix + sid } }
  return (await client.send(new GetItemCommand({ TableName: table, Key: key, ConsistentRead: true }))).Item
}

export async function left(store: Opened, sid: string): Promise<number> {
  return Number((await itemOf(store, sid))?.expires.N) * 1000 - Date.now()
}

/** Is this a conditional write, as it comes to the server? */
export function isWrite(request: Buffer): boolean {
  return request.includes('DynamoDB_20120810.PutItem')
}
