import { type Document, toCookie, toImage, toStored } from '../document.js'
import { type Driver, type Held, type Life, Unsettled, type WriteResult } from '../driver.js'
import type { StoreMethods } from '../raw.js'
import { digest } from './digest.js'
import { isUndone } from './redis-client.js'
import { SCRIPT, SCRIPT_NAME } from './redis-script.js'
import type { RedisSettings } from './redis-store.js'

/** connect-redis: keys, bytes and lives are those of the store, only that a write is compare-and-set. */
export class RedisDriver implements Driver {
  readonly name = 'redis'
  readonly compares = true
  readonly #settings: RedisSettings
  readonly #methods: Pick<StoreMethods, 'createSession'>
  #loaded = false

  constructor(settings: RedisSettings, methods: Pick<StoreMethods, 'createSession'>) {
    this.#settings = settings
    this.#methods = methods
  }

  async read(sid: string): Promise<Held | undefined> {
    const stored = await this.#settings.client.get(this.#settings.key(sid))
    if (stored !== null && typeof stored !== 'string' && !Buffer.isBuffer(stored)) throw unknownAnswer('GET')
    // Empty bytes are no session to connect-redis.
    return stored?.length ? this.#hold(stored, digest(stored)) : undefined
  }

  async write(sid: string, document: Document, expected: Held | undefined, life: Life): Promise<WriteResult> {
    const cookie = toCookie(this.#methods, document.cookie)
    const session = toStored(cookie, document.data)
    const stored = await this.#settings.stringify(session)
    const values = [expected?.token ?? '', stored, String(this.#settings.life(session)), life]
    const { client } = this.#settings
    const before = client.connection()
    const [written, token, held] = answerOf(await this.#run(this.#settings.key(sid), values))
    if (written)
      return { written: true, held: { document: { cookie: toImage(cookie), data: document.data }, token: digest(stored) } }
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
    const seconds = this.#settings.seconds(toStored(toCookie(this.#methods, document.cookie), document.data))
    // Redis answers an end in the past with a deletion, and says that the key was there.
    return (await client.expire(key, seconds)) && seconds > 0
  }

  async destroy(sid: string): Promise<void> {
    await this.#settings.client.del([this.#settings.key(sid)])
  }

  async #hold(stored: string | Buffer, token: string): Promise<Held> {
    return { document: await this.#settings.parse(stored), token }
  }

  async #run(key: string, values: string[]): Promise<unknown> {
    try {
      return await this.#script(key, values)
    } catch (error) {
      throw isUndone(error) ? error : new Unsettled(error)
    }
  }

  /** The first run brings the script along, so that it is one round trip too; a server that was restarted gets it again. */
  async #script(key: string, values: string[]): Promise<unknown> {
    const { client } = this.#settings
    if (this.#loaded) {
      try {
        return await client.evalSha(SCRIPT_NAME, key, values)
      } catch (error) {
        if (!String((error as Error | undefined)?.message).startsWith('NOSCRIPT')) throw error
      }
    }
    const answer = await client.eval(SCRIPT, key, values)
    this.#loaded = true
    return answer
  }
}

type Answer = [written: boolean, token?: unknown, held?: string | Buffer]

function answerOf(answer: unknown): Answer {
  if (!Array.isArray(answer)) throw unknownAnswer('a script')
  const [written, token, held] = answer
  return [Number(written) === 1, token, held]
}

/** Taken for a missing session it would end a live one. */
function unknownAnswer(command: string): TypeError {
  return new TypeError(`The Redis client answered ${command} in a way that is not known: it has to return promises.`)
}
