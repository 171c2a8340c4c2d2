import { debug } from '../../debug.js'
import { backoff } from '../../util/timeout.js'

/** ms before a lost connection is opened again; it doubles up to the longest, and is jittered. */
const SHORTEST = 50
const LONGEST = 2000
/** ms between questions whether the other side is still there, and how long the answer may take. */
const PING = 10_000
const PATIENCE = 5000

/** One connection that listens, as a bus has it. A new one is made each time the last one is lost. */
export interface Connection {
  /** Resolves when it is connected. */
  connect(): Promise<unknown>
  subscribe(channel: string): Promise<unknown>
  unsubscribe(channel: string): Promise<unknown>
  ping(): Promise<unknown>
  /** At once, whatever the server does. */
  destroy(): void
}

interface Wanted {
  /** Resolves when the channel is listened to. */
  heard: Promise<void>
  resolve(): void
}

/** One for all channels that are listened to. */
const HEARD: Wanted = { heard: Promise.resolve(), resolve() {} }

/**
 * A connection that listens to channels for as long as they are wanted: opened at the first, opened again for ever when it is lost, asked
 * now and then whether it still is one, closed after the last. Holds no process open.
 */
export class ReconnectingSubscriber {
  readonly #open: (lost: () => void) => Connection
  readonly #onResumed: () => void
  readonly #wanted = new Map<string, Wanted>()
  #connection: Connection | undefined
  /** The channels that the present connection was told to listen to. */
  #asked = new Set<string>()
  #ready = false
  #failures = 0
  /** Something was listened to and is not any more. */
  #missed = false
  #timer: NodeJS.Timeout | undefined

  /**
   * @param open makes a connection, which calls `lost` when it is none any more
   * @param back all that is wanted is listened to again after a time in which it was not
   */
  constructor(open: (lost: () => void) => Connection, back: () => void) {
    this.#open = open
    this.#onResumed = back
  }

  get channels(): ReadonlySet<string> {
    return new Set(this.#wanted.keys())
  }

  /** Resolves when the channel is listened to. */
  subscribe(channel: string): Promise<void> {
    let wanted = this.#wanted.get(channel)
    if (!wanted) {
      wanted = pending()
      this.#wanted.set(channel, wanted)
    }
    if (!this.#connection && !this.#timer) this.#connect()
    else if (this.#ready) this.#ask(channel)
    return wanted.heard
  }

  /** The connection stays for a while: there will be other channels. */
  unsubscribe(channel: string): void {
    if (!this.#wanted.delete(channel) || !this.#asked.delete(channel)) return
    const connection = this.#connection
    guarded(() => connection?.unsubscribe(channel)).catch(() => this.#lost(connection))
  }

  close(): void {
    this.#wanted.clear()
    clearTimeout(this.#timer)
    this.#timer = undefined
    const connection = this.#connection
    this.#connection = undefined
    this.#ready = false
    connection?.destroy()
  }

  async #connect(): Promise<void> {
    let connection: Connection | undefined
    try {
      connection = this.#open(() => this.#lost(connection))
      this.#connection = connection
      this.#asked = new Set()
      await inTime(guarded(() => connection?.connect()))
      if (this.#connection !== connection) return connection.destroy()
      this.#ready = true
      await Promise.all([...this.#wanted.keys()].map((channel) => this.#ask(channel)))
      if (this.#connection !== connection) return
      this.#failures = 0
      this.#watch(connection)
      if (this.#missed) {
        this.#missed = false
        this.#onResumed()
      }
    } catch (error) {
      debug('a bus does not listen: %s', (error as Error | undefined)?.message)
      // One that could not even be made is lost as well.
      if (connection) this.#lost(connection)
      else this.#again()
    }
  }

  /** Never rejects: what is refused is a lost connection. */
  async #ask(channel: string): Promise<void> {
    const connection = this.#connection
    if (!connection || this.#asked.has(channel)) return
    this.#asked.add(channel)
    try {
      await inTime(guarded(() => connection.subscribe(channel)))
      const wanted = this.#wanted.get(channel)
      if (!wanted || this.#connection !== connection) return
      wanted.resolve()
      this.#wanted.set(channel, HEARD)
    } catch (error) {
      debug('a bus is not listened to: %s', (error as Error | undefined)?.message)
      this.#lost(connection)
    }
  }

  #lost(connection: Connection | undefined): void {
    if (!connection || this.#connection !== connection) return
    this.#connection = undefined
    this.#ready = false
    connection.destroy()
    if (this.#asked.size > 0) this.#missed = true
    for (const [channel, wanted] of this.#wanted) if (wanted === HEARD) this.#wanted.set(channel, pending())
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#wanted.size > 0) this.#again()
  }

  #again(): void {
    this.#after(backoff(this.#failures++, SHORTEST, LONGEST), () => {
      if (this.#wanted.size > 0) this.#connect()
    })
  }

  /** A connection may be dead without saying so. */
  #watch(connection: Connection): void {
    this.#after(PING, async () => {
      try {
        await inTime(guarded(() => connection.ping()))
        if (this.#connection === connection) this.#watch(connection)
      } catch {
        this.#lost(connection)
      }
    })
  }

  #after(ms: number, action: () => void): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      action()
    }, ms)
    this.#timer.unref()
  }
}

function pending(): Wanted {
  let resolve!: () => void
  const heard = new Promise<void>((resolved) => {
    resolve = resolved
  })
  return { heard, resolve }
}

async function guarded(action: () => unknown): Promise<void> {
  await action()
}

function inTime(work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer in ${PATIENCE} ms`)), PATIENCE)
    timer.unref()
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
