import type { SessionData } from 'express-session'
import type { Bus } from '../../../bus.js'
import { debug } from '../../../debug.js'
import { sha1 } from '../../../util/hash.js'
import { evictOldest } from '../../../util/maps.js'
import type { StoreMethods } from '../../original-store.js'
import { Snapshot } from '../../snapshot.js'
import { topicOf } from '../../topic.js'
import {
  type DriverMessage,
  IndeterminateWriteError,
  type NextSession,
  type StoreDriver,
  type StoredSession,
  type TouchedSession,
  type WriteAnswer,
} from '../store-driver.js'
import { RedisBus } from './bus.js'
import { isSharded, isUndone, type RedisClient } from './client.js'
import { hashSlot, hashTagFor } from './hash-slot.js'
import { COMMIT_SCRIPT, COMPARE_SCRIPT, DESTROY_SCRIPT, PUBLISH_SCRIPT, READ_SCRIPT, type Script } from './scripts.js'
import type { RedisSettings } from './settings.js'
import { subscriberEndpoints } from './subscriber.js'

/** How many topics are remembered. */
const TOPICS = 1000

/** connect-redis with writes that compare and set. Keys, bytes and lifetimes are those of the store. */
export class RedisDriver implements StoreDriver {
  readonly name = 'redis'
  readonly missingValue = null
  readonly done = [null, null]
  publishRefused = false
  readonly #settings: RedisSettings
  readonly #methods: Pick<StoreMethods, 'createSession'>
  readonly #loaded = new Set<Script>()
  /** By the keys of sessions: each commit names its topic, which is a digest. */
  readonly #topics = new Map<string, string>()
  #bus: RedisBus | undefined

  constructor(settings: RedisSettings, methods: Pick<StoreMethods, 'createSession'>) {
    this.#settings = settings
    // Other processes publish on its server then.
    settings.onReplaced = () => this.#bus?.moved()
    this.#methods = methods
  }

  async read(sid: string): Promise<StoredSession | undefined> {
    const stored = await this.#get(this.#settings.key(sid))
    if (stored !== null && typeof stored !== 'string' && !Buffer.isBuffer(stored)) throw unexpectedReply('GET')
    return this.#parse(stored)
  }

  async write(
    sid: string,
    next: NextSession,
    expected: StoredSession | undefined,
    message?: DriverMessage,
  ): Promise<WriteAnswer> {
    const settings = this.#settings
    const { text } = next
    const session = (): SessionData => this.#sessionOf(text)
    const bytes = settings.opaque ? await settings.stringify(session()) : text
    const digest = expected ? (expected.token ?? sha1(expected.text)) : ''
    const life = next.atLeast ? 'extend' : 'exact'
    const values = [digest, bytes, String(settings.ttl(next.expires, session)), life, ...this.#publishArguments(message)]
    const client = this.#client
    const before = client.connection()
    if (before === undefined) {
      // A refusal may be the answer to a second time then. What others have stored before the first time shows here.
      const seen = parseReply(await this.#script(COMPARE_SCRIPT, settings.key(sid), [digest]))
      if (!seen[0]) return this.#refused(seen, false)
    }
    let reply: unknown
    try {
      reply = await this.#script(COMMIT_SCRIPT, settings.key(sid), values)
    } catch (error) {
      throw isUndone(error) ? error : new IndeterminateWriteError(error)
    }
    const answer = parseReply(reply)
    if (!answer[0]) return this.#refused(answer, before === undefined || before !== client.connection())
    this.#published(message, answer[1])
    return { written: true, stored: new StoredBytes(text, bytes) }
  }

  async #refused([, token, content]: Reply, resent: boolean): Promise<WriteAnswer> {
    if (content === undefined) return { written: false, stored: undefined, resent }
    // The digest as Redis computed it: bytes that are not UTF-8 do not survive the way here.
    return { written: false, stored: { text: await this.#settings.parse(content), token: String(token) }, resent }
  }

  async touch(sid: string, expires: Date | undefined, touched: TouchedSession): Promise<boolean> {
    const client = this.#client
    const key = this.#settings.key(sid)
    if (this.#settings.touchDisabled) return client.readsElsewhere() ? (await this.#get(key)) !== null : client.exists(key)
    const seconds = this.#settings.seconds(expires, () => this.#sessionOf(touched.text))
    // Redis answers an end in the past with a deletion, and says that the key was there.
    return (await client.expire(key, seconds)) && seconds > 0
  }

  async destroy(sid: string, message?: DriverMessage): Promise<void> {
    const key = this.#settings.key(sid)
    if (!message) await this.#client.del([key])
    else this.#published(message, parseReply(await this.#script(DESTROY_SCRIPT, key, this.#publishArguments(message)))[1])
  }

  get touchDisabled(): boolean {
    return this.#settings.touchDisabled
  }

  get opaque(): boolean {
    return this.#settings.opaque
  }

  get readMany(): ((sids: readonly string[]) => Promise<(StoredSession | undefined)[]>) | undefined {
    const client = this.#client
    const { getMany } = client
    if (!getMany || client.readsElsewhere()) return undefined
    return async (sids) => {
      if (sids.length === 0) return []
      const found = await getMany(sids.map((sid) => this.#settings.key(sid)))
      return Promise.all(found.map((stored) => this.#parse(stored)))
    }
  }

  topic(sid: string): string {
    const { keyPrefix, isCluster } = this.#client
    const key = keyPrefix + this.#settings.key(sid)
    const name = isCluster ? `cluster ${key}` : key
    const known = this.#topics.get(name)
    if (known !== undefined) return known
    const topic = topicOf(key, isCluster ? hashTagFor(hashSlot(key)) : undefined)
    this.#topics.set(name, topic)
    evictOldest(this.#topics, TOPICS)
    return topic
  }

  bus(): Bus | undefined {
    if (!subscriberEndpoints(this.#client.self)) return undefined
    this.#bus = new RedisBus(
      (channel) => subscriberEndpoints(this.#client.self)?.(channel),
      (topic, text) => this.#publish({ topic, text }),
    )
    return this.#bus
  }

  /** A message that no write carries. The key is in the topic's slot, and one that whoever may use the sessions may use. */
  async #publish(message: DriverMessage): Promise<void> {
    const key = this.#settings.key(message.topic)
    this.#published(message, parseReply(await this.#script(PUBLISH_SCRIPT, key, this.#publishArguments(message)))[1])
  }

  /** @param error of Redis, which refused to publish by an access list for example; empty where it did publish */
  #published(message: DriverMessage | undefined, error: unknown): void {
    if (!message) return
    this.publishRefused = Boolean(error)
    if (error) debug('Redis refused to publish, so that other processes hear of it late: %s', error)
  }

  /** The store's client of this moment. */
  get #client(): RedisClient {
    return this.#settings.client
  }

  /** From the master: what a replica does not have yet is not gone. */
  #get(key: string): Promise<unknown> {
    const client = this.#client
    return client.readsElsewhere() ? this.#script(READ_SCRIPT, key, []) : client.get(key)
  }

  /** The session for the store's `ttl` and its serializer. */
  #sessionOf(text: string): SessionData {
    return Snapshot.fromStored({ text }).toSession(this.#methods)
  }

  /** On a cluster a plain message goes to every node. */
  get #publishCommand(): string {
    return isSharded(this.#client.self) ? 'SPUBLISH' : 'PUBLISH'
  }

  #publishArguments(message: DriverMessage | undefined): string[] {
    return message ? [this.#publishCommand, message.topic, message.text] : []
  }

  #parse(bytes: string | Buffer | null): StoredSession | undefined | Promise<StoredSession> {
    // Empty bytes are no session to connect-redis.
    if (!bytes?.length) return undefined
    const text = this.#settings.parse(bytes)
    return typeof text === 'string' ? new StoredBytes(text, bytes) : text.then((json) => new StoredBytes(json, bytes))
  }

  /** The first run sends the script's text, so that it is one round trip too; so does a run after the server was restarted. */
  async #script(script: Script, key: string, values: string[]): Promise<unknown> {
    const client = this.#client
    if (this.#loaded.has(script)) {
      try {
        return await client.evalSha(script.sha, [key], values)
      } catch (error) {
        if (!String((error as Error | undefined)?.message).startsWith('NOSCRIPT')) throw error
      }
    }
    const answer = await client.eval(script.text, [key], values)
    this.#loaded.add(script)
    return answer
  }
}

/** What Redis holds. Its digest is computed when somebody asks for it. */
class StoredBytes implements StoredSession {
  readonly text: string
  readonly #bytes: string | Buffer
  #digest: string | undefined

  constructor(text: string, bytes: string | Buffer) {
    this.text = text
    this.#bytes = bytes
  }

  get token(): string {
    this.#digest ??= sha1(this.#bytes)
    return this.#digest
  }
}

type Reply = [written: boolean, etag?: unknown, content?: string | Buffer]

function parseReply(reply: unknown): Reply {
  if (!Array.isArray(reply)) throw unexpectedReply('a script')
  const [written, etag, content] = reply
  return [Number(written) === 1, etag, content]
}

/** If it were taken for a missing session it would end a live one. */
function unexpectedReply(command: string): TypeError {
  return new TypeError(`The Redis client answered ${command} in a way that is not known: it has to return promises.`)
}
