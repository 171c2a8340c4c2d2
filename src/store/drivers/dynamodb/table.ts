import type { AttributeValue } from '@aws-sdk/client-dynamodb'

/** The attributes of an item by their names. */
export type Item = Record<string, AttributeValue>

/** The public members of a connect-dynamodb store. */
export interface DynamoDbStore {
  client: { send(command: unknown): Promise<unknown> }
  table: string
  hashKey: string
  prefix: string
  /** Members of the session that are attributes of the item as well. */
  specialKeys: { name: string; type: string }[]
  skipThrowMissingSpecialKeys: boolean
  /** Makes the table if it is missing. Does nothing after the first time. */
  initialize(): Promise<void>
}

/** s that a session without an end lives, as in connect-dynamodb. */
const ONE_DAY = 86_400

export function isDynamoDbStore(store: unknown): store is DynamoDbStore {
  const { client, table, hashKey, prefix, specialKeys, initialize } = Object(store) as Partial<DynamoDbStore>
  if (typeof client?.send !== 'function' || typeof initialize !== 'function' || !Array.isArray(specialKeys)) return false
  return [table, hashKey, prefix].every((each) => typeof each === 'string')
}

/** The item of a session, as connect-dynamodb writes it. @param expires s since the epoch */
export function itemOf(store: DynamoDbStore, sid: string, text: string, expires: string): Item {
  const item: Item = { ...keyOf(store, sid), expires: { N: expires }, type: { S: 'connect-session' }, sess: { S: text } }
  if (store.specialKeys.length === 0) return item
  const session = JSON.parse(text)
  const missing = store.specialKeys.map(({ name }) => name).filter((name) => session[name] === undefined)
  if (missing.length > 0 && !store.skipThrowMissingSpecialKeys) {
    throw new Error(`The session misses keys that the store of connect-dynamodb needs: ${missing.join(', ')}.`)
  }
  for (const { name, type } of store.specialKeys) {
    const value = session[name]
    if (value !== undefined) item[name] = { [type]: type === 'N' ? JSON.stringify(value) : value } as unknown as AttributeValue
  }
  return item
}

export function keyOf({ hashKey, prefix }: DynamoDbStore, sid: string): Item {
  return { [hashKey]: { S: prefix + sid } }
}

/** The text of a session that is not over; `undefined` if there is none. */
export function liveText(item: Item | undefined): string | undefined {
  const text = item?.sess?.S
  const expires = item?.expires?.N
  return text === undefined || (expires !== undefined && now() >= Number(expires)) ? undefined : text
}

/** In s since the epoch, as an attribute has it: whole ones, as the time to live of DynamoDB has to be. */
export function endOf(expires: Date | undefined): string {
  return String(Math.ceil(expires ? expires.getTime() / 1000 : now() + ONE_DAY))
}

/** In s since the epoch. */
export function now(): number {
  return Date.now() / 1000
}
