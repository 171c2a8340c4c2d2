import {
  BatchGetItemCommand,
  type BatchGetItemCommandOutput,
  DeleteItemCommand,
  GetItemCommand,
  type GetItemCommandOutput,
  PutItemCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb'
import { badArgument } from '../../../errors.js'
import { withoutContents } from '../errors.js'
import {
  IndeterminateWriteError,
  type NextSession,
  type StoreDriver,
  type StoredSession,
  type WriteAnswer,
} from '../store-driver.js'
import { refusal, wasResent, writeError } from './errors.js'
import { type DynamoDbStore, endOf, type Item, isDynamoDbStore, itemOf, keyOf, liveText, now } from './table.js'

/** How many items DynamoDB reads at once. */
const BATCH = 100
/** How often a write follows an end that others move. */
const MAX_ATTEMPTS = 5

const ALIVE = '(attribute_not_exists(expires) OR expires > :now)'

const NOT_LATER = '(attribute_not_exists(expires) OR (expires > :now AND expires <= :end))'
const NOT_THERE = 'attribute_not_exists(sess) OR expires <= :now'

/** @param item what is there instead, if the server tells */
type Put = { written: true } | { written: false; item: Item | undefined }

/** The condition of a write, and the values in it. */
interface Condition {
  text: string
  values: Item
}

/**
 * The driver for a store of connect-dynamodb 3, for the option `driver`. It writes past the store's own methods, also past those that the
 * application has put over them.
 * @param store a store of connect-dynamodb
 * @throws `BAD_ARGUMENT` for another store
 */
export function dynamodbDriver(store: object): StoreDriver {
  if (!isDynamoDbStore(store)) badArgument('dynamodbDriver() takes a store of connect-dynamodb 3.')
  return new DynamoDbDriver(store)
}

/** connect-dynamodb with writes that compare and set. Items and ends are those of the store. */
class DynamoDbDriver implements StoreDriver {
  readonly name = 'connect-dynamodb'
  readonly #store: DynamoDbStore

  constructor(store: DynamoDbStore) {
    this.#store = store
  }

  async read(sid: string): Promise<StoredSession | undefined> {
    return toStored(await this.#find(sid))
  }

  async readMany(sids: readonly string[]): Promise<(StoredSession | undefined)[]> {
    const { table, hashKey, prefix } = this.#store
    const ids = [...new Set(sids)]
    const found = new Map<string | undefined, Item>()
    for (let from = 0; from < ids.length; from += BATCH) {
      let keys: Item[] | undefined = ids.slice(from, from + BATCH).map((sid) => keyOf(this.#store, sid))
      // An answer ends at 16 MB, and names what is left.
      while (keys && keys.length > 0) {
        const request: Record<string, { Keys: Item[]; ConsistentRead: boolean }> = {
          [table]: { Keys: keys, ConsistentRead: true },
        }
        const answer: BatchGetItemCommandOutput = await this.#send<BatchGetItemCommandOutput>(
          new BatchGetItemCommand({ RequestItems: request }),
        )
        for (const item of answer.Responses?.[table] ?? []) found.set(item[hashKey]?.S, item)
        keys = answer.UnprocessedKeys?.[table]?.Keys
      }
    }
    return sids.map((sid) => toStored(found.get(prefix + sid)))
  }

  async write(sid: string, next: NextSession, expected: StoredSession | undefined): Promise<WriteAnswer> {
    const end = endOf(next.expires)
    if (!expected) return this.#put(sid, next.text, end, { text: NOT_THERE, values: moment() }).then(toAnswer)
    const { text } = expected
    if (!next.atLeast) return this.#put(sid, next.text, end, same(text, ALIVE, moment())).then(toAnswer)
    for (let time = 0; time < MAX_ATTEMPTS; time++) {
      const first = await this.#put(sid, next.text, end, same(text, NOT_LATER, { ...moment(), ':end': { N: end } }))
      if (first.written) return first
      const item = first.item ?? (await this.#find(sid))
      const later = liveText(item) === text ? item?.expires?.N : undefined
      if (later === undefined) return { written: false, stored: toStored(item) }
      // The same content lives longer, and goes on to.
      const second = await this.#put(sid, next.text, later, same(text, 'expires = :end', { ':end': { N: later } }))
      if (second.written) return second
    }
    return { written: false }
  }

  async touch(sid: string, expires: Date | undefined): Promise<boolean> {
    const command = new UpdateItemCommand({
      TableName: this.#store.table,
      Key: keyOf(this.#store, sid),
      UpdateExpression: 'SET expires = :end',
      // Without it there would be an item without a session.
      ConditionExpression: `attribute_exists(sess) AND ${ALIVE}`,
      ExpressionAttributeValues: { ':end': { N: endOf(expires) }, ...moment() },
    })
    try {
      await this.#send(command)
      return true
    } catch (error) {
      if (refusal(error)) return false
      throw error
    }
  }

  async destroy(sid: string): Promise<void> {
    await this.#send(new DeleteItemCommand({ TableName: this.#store.table, Key: keyOf(this.#store, sid) }))
  }

  async #put(sid: string, text: string, expires: string, condition: Condition): Promise<Put> {
    const command = new PutItemCommand({
      TableName: this.#store.table,
      Item: itemOf(this.#store, sid, text, expires),
      ConditionExpression: condition.text,
      ExpressionAttributeValues: condition.values,
      ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
    })
    await this.#store.initialize()
    try {
      await this.#store.client.send(command)
      return { written: true }
    } catch (error) {
      const refused = refusal(error)
      if (!refused) throw writeError(error)
      if (refused.item?.sess?.S === text && wasResent(error)) return { written: true }
      if (wasResent(error)) throw new IndeterminateWriteError(withoutContents(error))
      return { written: false, ...refused }
    }
  }

  async #find(sid: string): Promise<Item | undefined> {
    const command = new GetItemCommand({ TableName: this.#store.table, Key: keyOf(this.#store, sid), ConsistentRead: true })
    return (await this.#send<GetItemCommandOutput>(command)).Item
  }

  async #send<Answer>(command: unknown): Promise<Answer> {
    await this.#store.initialize()
    return (await this.#store.client.send(command)) as Answer
  }
}

function same(text: string, condition: string, values: Item): Condition {
  return { text: `sess = :expected AND ${condition}`, values: { ...values, ':expected': { S: text } } }
}

function moment(): Item {
  return { ':now': { N: String(now()) } }
}

function toStored(item: Item | undefined): StoredSession | undefined {
  const text = liveText(item)
  return text === undefined ? undefined : { text }
}

/** Servers that do not tell what is there, and an item that is not there, look alike. */
function toAnswer(answer: Put): WriteAnswer {
  if (answer.written) return answer
  return answer.item ? { written: false, stored: toStored(answer.item) } : { written: false }
}
