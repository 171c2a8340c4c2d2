import type { Bus } from '../../bus/contract.js'
import { RedisBus } from '../../bus/redis.js'
import { placesOf } from '../../bus/redis-source.js'
import { slotOf, tagOf } from '../../bus/slots.js'
import { topicOf } from '../../bus/topic.js'
import { debug } from '../../debug.js'
import { type Document, imageOf, isNone, toCookie, toStored, toText, withoutData } from '../document.js'
import { type Driver, type Held, type Life, type Note, Unsettled, type WriteResult } from '../driver.js'
import { HeldText } from '../held.js'
import type { StoreMethods } from '../raw.js'
import { digest } from './digest.js'
import { isUndone } from './redis-client.js'
import { COMMIT, END, type Script, TELLING } from './redis-script.js'
import type { RedisSettings } from './redis-store.js'

/** connect-redis: keys, bytes and lives are those of the store, only that a write is compare-and-set. */
export class RedisDriver implements Driver {
  readonly name = 'redis'
  readonly compares = true
  readonly missing = null
  readonly #settings: RedisSettings
  readonly #methods: Pick<StoreMethods, 'createSession'>
  readonly #loaded = new Set<Script>()

  constructor(settings: RedisSettings, methods: Pick<StoreMethods, 'createSession'>) {
    this.#settings = settings
    this.#methods = methods
  }

  async read(sid: string): Promise<Held | undefined> {
    const stored = await this.#settings.client.get(this.#settings.key(sid))
    if (stored !== null && typeof stored !== 'string' && !Buffer.isBuffer(stored)) throw unknownAnswer('GET')
    // Empty bytes are no session to connect-redis.
    return stored?.length ? this.#hold(stored) : undefined
  }

  async write(sid: string, document: Document, expected: Held | undefined, life: Life, note?: Note): Promise<WriteResult> {
    const cookie = toCookie(this.#methods, document.cookie)
    const image = isNone(document.cookie) ? document.cookie : imageOf(cookie)
    const { isPlain } = this.#settings
    const session = isPlain ? withoutData(cookie) : toStored(cookie, document)
    const stored = isPlain ? toText(image, document) : await this.#settings.stringify(session)
    const values = [expected?.token ?? '', stored, String(this.#settings.life(session)), life, ...this.#told(note)]
    const { client } = this.#settings
    const before = client.connection()
    const [written, token, held] = answerOf(await this.#run(COMMIT, this.#settings.key(sid), values))
    if (written) {
      heed(token)
      if (!this.#settings.opaque) return { written: true, held: new HeldText(stored, { name: digest, cookie: image }) }
      return { written: true, held: { document: { cookie: image, data: document.data }, token: digest(stored) } }
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
    const { client, untouched } = this.#settings
    const key = this.#settings.key(sid)
    if (untouched) return client.exists(key)
    const cookie = toCookie(this.#methods, document.cookie)
    const seconds = this.#settings.seconds(this.#settings.isPlain ? withoutData(cookie) : toStored(cookie, document))
    // Redis answers an end in the past with a deletion, and says that the key was there.
    return (await client.expire(key, seconds)) && seconds > 0
  }

  async destroy(sid: string, note?: Note): Promise<void> {
    const key = this.#settings.key(sid)
    if (!note) await this.#settings.client.del([key])
    else heed(answerOf(await this.#script(END, key, this.#told(note)))[1])
  }

  get untouched(): boolean {
    return this.#settings.untouched
  }

  get opaque(): boolean {
    return this.#settings.opaque
  }

  get readMany(): ((sids: readonly string[]) => Promise<(Held | undefined)[]>) | undefined {
    const { getMany } = this.#settings.client
    if (!getMany) return undefined
    return async (sids) => {
      const found = await getMany(sids.map((sid) => this.#settings.key(sid)))
      return Promise.all(found.map((stored) => (stored?.length ? this.#hold(stored) : undefined)))
    }
  }

  topic(sid: string): string {
    const { keyPrefix, isCluster } = this.#settings.client
    const key = keyPrefix + this.#settings.key(sid)
    return topicOf(key, isCluster ? tagOf(slotOf(key)) : undefined)
  }

  bus(): Bus | undefined {
    const placeOf = placesOf(this.#settings.client.self)
    if (!placeOf) return undefined
    return new RedisBus(placeOf, (channel, text) => this.#script(TELLING, channel, [this.#command, channel, text]))
  }

  /** On a cluster a plain message goes to every node. */
  get #command(): string {
    return this.#settings.client.isCluster ? 'SPUBLISH' : 'PUBLISH'
  }

  #told(note: Note | undefined): string[] {
    return note ? [this.#command, note.topic, note.text] : []
  }

  /** @param token as Redis computed it, where it did */
  async #hold(stored: string | Buffer, token?: string): Promise<Held> {
    if (!this.#settings.opaque) {
      return new HeldText(String(stored), { name: token ?? (typeof stored === 'string' ? digest : digest(stored)) })
    }
    return { document: await this.#settings.parse(stored), token: token ?? digest(stored) }
  }

  async #run(script: Script, key: string, values: string[]): Promise<unknown> {
    try {
      return await this.#script(script, key, values)
    } catch (error) {
      throw isUndone(error) ? error : new Unsettled(error)
    }
  }

  /** The first run brings the script along, so that it is one round trip too; a server that was restarted gets it again. */
  async #script(script: Script, key: string, values: string[]): Promise<unknown> {
    const { client } = this.#settings
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
function heed(refusal: unknown): void {
  if (refusal) debug('Redis refused to publish, so that other processes hear of it late: %s', refusal)
}

/** Taken for a missing session it would end a live one. */
function unknownAnswer(command: string): TypeError {
  return new TypeError(`The Redis client answered ${command} in a way that is not known: it has to return promises.`)
}
