import type { SessionData } from 'express-session'
import type { Bus } from '../../../cluster/bus.js'
import { hashSlot, hashTagFor } from '../../../cluster/buses/hash-slot.js'
import { RedisBus } from '../../../cluster/buses/redis.js'
import { type SubscriberEndpoint, subscriberEndpoints } from '../../../cluster/buses/redis-subscriber.js'
import { topicOf } from '../../../cluster/topic.js'
import { debug } from '../../../debug.js'
import { digest } from '../../../util/hash.js'
import { type CookieJson, type Document, toCookie, toStored, toText } from '../../document.js'
import type { StoreMethods } from '../../original-store.js'
import { TextSnapshot } from '../../snapshot.js'
import {
  type CompareAndSetDriver,
  IndeterminateWriteError,
  type OutgoingMessage,
  type Snapshot,
  type TtlPolicy,
  type WriteResult,
} from '../driver.js'
import { isUndone, type RedisClient } from './client.js'
import { COMMIT_SCRIPT, DESTROY_SCRIPT, PUBLISH_SCRIPT, type Script } from './scripts.js'
import type { RedisSettings } from './settings.js'

/** connect-redis: keys, bytes and lives are those of the store, only that a write is compare-and-set. */
export class RedisDriver implements CompareAndSetDriver {
  readonly name = 'redis'
  readonly compares = true
  readonly missingValue = null
  readonly done = [null, null]
  readonly #settings: RedisSettings
  readonly #methods: Pick<StoreMethods, 'createSession'>
  readonly #loaded = new Set<Script>()
  #last: RedisClient
  #bus: RedisBus | undefined

  constructor(settings: RedisSettings, methods: Pick<StoreMethods, 'createSession'>) {
    this.#settings = settings
    this.#last = settings.client
    this.#methods = methods
  }

  async read(sid: string): Promise<Snapshot | undefined> {
    const stored = await this.#client.get(this.#settings.key(sid))
    if (stored !== null && typeof stored !== 'string' && !Buffer.isBuffer(stored)) throw unknownAnswer('GET')
    // Empty bytes are no session to connect-redis.
    return stored?.length ? this.#hold(stored) : undefined
  }

  async write(
    sid: string,
    document: Document,
    expected: Snapshot | undefined,
    life: TtlPolicy,
    note?: OutgoingMessage,
  ): Promise<WriteResult> {
    const image = document.cookie
    const session = this.#shown(image, document)
    const stored = this.#settings.isPlain ? toText(image, document) : await this.#settings.stringify(session)
    const values = [expected?.etag ?? '', stored, String(this.#settings.life(session)), life, ...this.#told(note)]
    const client = this.#client
    const before = client.connection()
    const [written, token, held] = answerOf(await this.#run(COMMIT_SCRIPT, this.#settings.key(sid), values))
    if (written) {
      logPublishError(token)
      if (!this.#settings.opaque) return { written: true, held: new TextSnapshot(stored, { name: digest, cookie: image }) }
      return { written: true, held: { document: { cookie: image, data: document.data }, etag: digest(stored) } }
    }
    // The digest as Redis computed it: bytes that are not UTF-8 do not survive the way here.
    const resent = before === undefined || before !== client.connection()
    return {
      written: false,
      held: held === undefined ? undefined : await this.#hold(held, String(token)),
      ...(resent && { resent }),
    }
  }

  async touch(sid: string, document: Document): Promise<boolean> {
    const client = this.#client
    const key = this.#settings.key(sid)
    if (this.#settings.untouched) return client.exists(key)
    const seconds = this.#settings.seconds(this.#shown(document.cookie, document))
    // Redis answers an end in the past with a deletion, and says that the key was there.
    return (await client.expire(key, seconds)) && seconds > 0
  }

  async destroy(sid: string, note?: OutgoingMessage): Promise<void> {
    const key = this.#settings.key(sid)
    if (!note) await this.#client.del([key])
    else logPublishError(answerOf(await this.#script(DESTROY_SCRIPT, key, this.#told(note)))[1])
  }

  get touchDisabled(): boolean {
    return this.#settings.untouched
  }

  get opaque(): boolean {
    return this.#settings.opaque
  }

  get readMany(): ((sids: readonly string[]) => Promise<(Snapshot | undefined)[]>) | undefined {
    const { getMany } = this.#client
    if (!getMany) return undefined
    return async (sids) => {
      const found = await getMany(sids.map((sid) => this.#settings.key(sid)))
      return Promise.all(found.map((stored) => (stored?.length ? this.#hold(stored) : undefined)))
    }
  }

  topic(sid: string): string {
    const { keyPrefix, isCluster } = this.#client
    const key = keyPrefix + this.#settings.key(sid)
    return topicOf(key, isCluster ? hashTagFor(hashSlot(key)) : undefined)
  }

  bus(): Bus | undefined {
    if (!subscriberEndpoints(this.#client.self)) return undefined
    const placeOf = (channel: string): SubscriberEndpoint | undefined => subscriberEndpoints(this.#client.self)?.(channel)
    this.#bus = new RedisBus(placeOf, (channel, text) => this.#script(PUBLISH_SCRIPT, channel, [this.#command, channel, text]))
    return this.#bus
  }

  /** The store's client of this moment. Where it is another one, others publish elsewhere too. */
  get #client(): RedisClient {
    const { client } = this.#settings
    if (client !== this.#last) {
      this.#last = client
      this.#bus?.moved()
    }
    return client
  }

  /** What the store's `ttl` and its serializer are shown. */
  #shown(image: CookieJson, document: Document): SessionData {
    if (this.#settings.isPlain) return { cookie: image } as unknown as SessionData
    return toStored(toCookie(this.#methods, image), document)
  }

  /** On a cluster a plain message goes to every node. */
  get #command(): string {
    return this.#client.isCluster ? 'SPUBLISH' : 'PUBLISH'
  }

  #told(note: OutgoingMessage | undefined): string[] {
    return note ? [this.#command, note.topic, note.text] : []
  }

  /** @param token as Redis computed it, where it did */
  async #hold(stored: string | Buffer, token?: string): Promise<Snapshot> {
    if (!this.#settings.opaque) {
      return new TextSnapshot(String(stored), { name: token ?? (typeof stored === 'string' ? digest : digest(stored)) })
    }
    return { document: await this.#settings.parse(stored), etag: token ?? digest(stored) }
  }

  async #run(script: Script, key: string, values: string[]): Promise<unknown> {
    try {
      return await this.#script(script, key, values)
    } catch (error) {
      throw isUndone(error) ? error : new IndeterminateWriteError(error)
    }
  }

  /** The first run brings the script along, so that it is one round trip too; a server that was restarted gets it again. */
  async #script(script: Script, key: string, values: string[]): Promise<unknown> {
    const client = this.#client
    if (this.#loaded.has(script)) {
      try {
        return await client.evalSha(script.name, [key], values)
      } catch (error) {
        if (!String((error as Error | undefined)?.message).startsWith('NOSCRIPT')) throw error
      }
    }
    const answer = await client.eval(script.text, [key], values)
    this.#loaded.add(script)
    return answer
  }
}

type Answer = [written: boolean, token?: unknown, held?: string | Buffer]

function answerOf(answer: unknown): Answer {
  if (!Array.isArray(answer)) throw unknownAnswer('a script')
  const [written, token, held] = answer
  return [Number(written) === 1, token, held]
}

/** The write stands; only that the others were told was refused, by an access list for example. */
function logPublishError(refusal: unknown): void {
  if (refusal) debug('Redis refused to publish, so that other processes hear of it late: %s', refusal)
}

/** Taken for a missing session it would end a live one. */
function unknownAnswer(command: string): TypeError {
  return new TypeError(`The Redis client answered ${command} in a way that is not known: it has to return promises.`)
}
