import type { SessionData } from 'express-session'
import { debug } from '../../../debug.js'
import { evictOldest } from '../../../util/bounded-map.js'
import { topicOf } from '../../../util/hash.js'
import type { StoreMethods } from '../../original-store.js'
import { ContentDigest, Snapshot } from '../../snapshot.js'
import type { OutgoingMessage, TtlPolicy } from '../../transaction.js'
import { type CompareAndSetDriver, IndeterminateWriteError, type PubSub, type WriteResult } from '../driver.js'
import { isUndone, type RedisClient } from './client.js'
import { hashSlot, hashTagFor } from './hash-slot.js'
import { COMMIT_SCRIPT, DESTROY_SCRIPT, PUBLISH_SCRIPT, type Script } from './scripts.js'
import type { RedisSettings } from './settings.js'
import { subscriberEndpoints } from './subscriber.js'

/** How many topics are remembered. */
const TOPICS = 1000

/** connect-redis with writes that compare and set. Keys, bytes and lifetimes are those of the store. */
export class RedisDriver implements CompareAndSetDriver {
  readonly name = 'redis'
  readonly compares = true
  readonly missingValue = null
  readonly done = [null, null]
  readonly #settings: RedisSettings
  readonly #methods: Pick<StoreMethods, 'createSession'>
  readonly #loaded = new Set<Script>()
  /** By the keys of sessions: each commit names its topic, which is a digest. */
  readonly #topics = new Map<string, string>()
  #last: RedisClient
  #onMoved: (() => void) | undefined

  constructor(settings: RedisSettings, methods: Pick<StoreMethods, 'createSession'>) {
    this.#settings = settings
    this.#last = settings.client
    this.#methods = methods
  }

  async read(sid: string): Promise<Snapshot | undefined> {
    const stored = await this.#client.get(this.#settings.key(sid))
    if (stored !== null && typeof stored !== 'string' && !Buffer.isBuffer(stored)) throw unexpectedReply('GET')
    // Empty bytes are no session to connect-redis.
    return stored?.length ? this.#parse(stored) : undefined
  }

  async write(
    sid: string,
    snapshot: Snapshot,
    expected: Snapshot | undefined,
    ttl: TtlPolicy,
    message?: OutgoingMessage,
  ): Promise<WriteResult> {
    const settings = this.#settings
    const session = this.#visible(snapshot)
    const stored = settings.isPlain ? snapshot.toText() : await settings.stringify(session)
    const values = [expected?.etag ?? '', stored, String(settings.ttl(session)), ttl, ...this.#publishArguments(message)]
    const client = this.#client
    const before = client.connection()
    let reply: unknown
    try {
      reply = await this.#script(COMMIT_SCRIPT, settings.key(sid), values)
    } catch (error) {
      throw isUndone(error) ? error : new IndeterminateWriteError(error)
    }
    const [written, etag, content] = parseReply(reply)
    if (written) {
      logPublishError(etag)
      const digested = new ContentDigest(stored)
      if (!settings.opaque) return { written: true, current: snapshot.storedAs(stored, digested) }
      const { cookie, history } = snapshot
      return { written: true, current: new Snapshot({ cookie, history, data: () => snapshot.data, etag: digested }) }
    }
    // The etag as Redis computed it: bytes that are not UTF-8 do not survive the way here.
    const resent = before === undefined || before !== client.connection()
    return {
      written: false,
      current: content === undefined ? undefined : await settings.parse(content, String(etag)),
      ...(resent && { resent }),
    }
  }

  async touch(sid: string, snapshot: Snapshot): Promise<boolean> {
    const client = this.#client
    const key = this.#settings.key(sid)
    if (this.#settings.touchDisabled) return client.exists(key)
    const seconds = this.#settings.seconds(this.#visible(snapshot))
    // Redis answers an end in the past with a deletion, and says that the key was there.
    return (await client.expire(key, seconds)) && seconds > 0
  }

  async destroy(sid: string, message?: OutgoingMessage): Promise<void> {
    const key = this.#settings.key(sid)
    if (!message) await this.#client.del([key])
    else logPublishError(parseReply(await this.#script(DESTROY_SCRIPT, key, this.#publishArguments(message)))[1])
  }

  get touchDisabled(): boolean {
    return this.#settings.touchDisabled
  }

  get opaque(): boolean {
    return this.#settings.opaque
  }

  get readMany(): ((sids: readonly string[]) => Promise<(Snapshot | undefined)[]>) | undefined {
    const { getMany } = this.#client
    if (!getMany) return undefined
    return async (sids) => {
      const found = await getMany(sids.map((sid) => this.#settings.key(sid)))
      return Promise.all(found.map((stored) => (stored?.length ? this.#parse(stored) : undefined)))
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

  pubSub(): PubSub | undefined {
    if (!subscriberEndpoints(this.#client.self)) return undefined
    return {
      endpointOf: (channel) => subscriberEndpoints(this.#client.self)?.(channel),
      publish: (channel, text) => this.#script(PUBLISH_SCRIPT, channel, [this.#publishCommand, channel, text]),
      onMoved: (listener) => {
        this.#onMoved = listener
      },
    }
  }

  /** The store's client of this moment. With another one, other processes publish on another server too. */
  get #client(): RedisClient {
    const { client } = this.#settings
    if (client !== this.#last) {
      this.#last = client
      this.#onMoved?.()
    }
    return client
  }

  /** The session for the store's `ttl` and its serializer. */
  #visible(snapshot: Snapshot): SessionData {
    return this.#settings.isPlain ? ({ cookie: snapshot.cookie } as unknown as SessionData) : snapshot.toSession(this.#methods)
  }

  /** On a cluster a plain message goes to every node. */
  get #publishCommand(): string {
    return this.#client.isCluster ? 'SPUBLISH' : 'PUBLISH'
  }

  #publishArguments(message: OutgoingMessage | undefined): string[] {
    return message ? [this.#publishCommand, message.topic, message.text] : []
  }

  #parse(stored: string | Buffer): Promise<Snapshot> {
    return this.#settings.parse(stored, new ContentDigest(stored))
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

type Reply = [written: boolean, etag?: unknown, content?: string | Buffer]

function parseReply(reply: unknown): Reply {
  if (!Array.isArray(reply)) throw unexpectedReply('a script')
  const [written, etag, content] = reply
  return [Number(written) === 1, etag, content]
}

/** The write was made; only its publication was refused, by an access list for example. */
function logPublishError(error: unknown): void {
  if (error) debug('Redis refused to publish, so that other processes hear of it late: %s', error)
}

/** If it were taken for a missing session it would end a live one. */
function unexpectedReply(command: string): TypeError {
  return new TypeError(`The Redis client answered ${command} in a way that is not known: it has to return promises.`)
}
