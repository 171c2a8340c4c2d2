import { debug } from '../../debug.js'
import type { SubscriberConnection } from '../../store/drivers/driver.js'
import { asPromise, backoff, withTimeout } from '../../util/timeout.js'

/** ms before a lost connection is opened again; it doubles up to the longest, and is jittered. */
const SHORTEST = 50
const LONGEST = 2000
/** ms between pings, and how long the answer to any command may take. */
const PING_INTERVAL = 10_000
const COMMAND_TIMEOUT = 5000

interface Subscription {
  /** Resolves when the server has confirmed the subscription. */
  confirmed: Promise<void>
  resolve(): void
}

/** One for all channels whose subscription is confirmed. */
const CONFIRMED: Subscription = { confirmed: Promise.resolve(), resolve() {} }

/**
 * Keeps channels subscribed. It connects at the first subscription, connects again whenever the connection is lost, and pings it, as it may
 * be dead without saying so. Does not keep the process open.
 */
export class ReconnectingSubscriber {
  readonly #open: (lost: () => void) => SubscriberConnection
  readonly #onResumed: () => void
  readonly #subscriptions = new Map<string, Subscription>()
  #connection: SubscriberConnection | undefined
  /** The channels that were sent to the present connection. */
  #sent = new Set<string>()
  #ready = false
  #failures = 0
  /** A subscription was lost, so messages may be. */
  #interrupted = false
  #timer: NodeJS.Timeout | undefined

  /**
   * @param open makes a connection, which calls `lost` when it is lost
   * @param onResumed is called when all channels are subscribed again after an interruption
   */
  constructor(open: (lost: () => void) => SubscriberConnection, onResumed: () => void) {
    this.#open = open
    this.#onResumed = onResumed
  }

  get channels(): ReadonlySet<string> {
    return new Set(this.#subscriptions.keys())
  }

  /** Resolves when the server has confirmed it; stays pending while there is no connection. */
  subscribe(channel: string): Promise<void> {
    let subscription = this.#subscriptions.get(channel)
    if (!subscription) {
      subscription = unconfirmed()
      this.#subscriptions.set(channel, subscription)
    }
    if (!this.#connection && !this.#timer) this.#connect()
    else if (this.#ready) this.#send(channel)
    return subscription.confirmed
  }

  /** The connection stays open: there will be other channels. */
  unsubscribe(channel: string): void {
    if (!this.#subscriptions.delete(channel) || !this.#sent.delete(channel)) return
    const connection = this.#connection
    asPromise(() => connection?.unsubscribe(channel)).catch(() => this.#lost(connection))
  }

  close(): void {
    this.#subscriptions.clear()
    clearTimeout(this.#timer)
    this.#timer = undefined
    const connection = this.#connection
    this.#connection = undefined
    this.#ready = false
    connection?.destroy()
  }

  async #connect(): Promise<void> {
    let connection: SubscriberConnection | undefined
    try {
      connection = this.#open(() => this.#lost(connection))
      this.#connection = connection
      this.#sent = new Set()
      await inTime(asPromise(() => connection?.connect()))
      if (this.#connection !== connection) return connection.destroy()
      this.#ready = true
      await Promise.all([...this.#subscriptions.keys()].map((channel) => this.#send(channel)))
      if (this.#connection !== connection) return
      this.#failures = 0
      this.#pingLater(connection)
      if (this.#interrupted) {
        this.#interrupted = false
        this.#onResumed()
      }
    } catch (error) {
      debug('a bus is not connected: %s', (error as Error | undefined)?.message)
      // One that could not even be made is lost as well.
      if (connection) this.#lost(connection)
      else this.#reconnectLater()
    }
  }

  /** Never rejects: a refused subscription counts as a lost connection. */
  async #send(channel: string): Promise<void> {
    const connection = this.#connection
    if (!connection || this.#sent.has(channel)) return
    this.#sent.add(channel)
    try {
      await inTime(asPromise(() => connection.subscribe(channel)))
      const subscription = this.#subscriptions.get(channel)
      if (!subscription || this.#connection !== connection) return
      subscription.resolve()
      this.#subscriptions.set(channel, CONFIRMED)
    } catch (error) {
      debug('a bus is not subscribed: %s', (error as Error | undefined)?.message)
      this.#lost(connection)
    }
  }

  #lost(connection: SubscriberConnection | undefined): void {
    if (!connection || this.#connection !== connection) return
    this.#connection = undefined
    this.#ready = false
    connection.destroy()
    if (this.#sent.size > 0) this.#interrupted = true
    for (const [channel, subscription] of this.#subscriptions) {
      if (subscription === CONFIRMED) this.#subscriptions.set(channel, unconfirmed())
    }
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#subscriptions.size > 0) this.#reconnectLater()
  }

  #reconnectLater(): void {
    this.#after(backoff(this.#failures++, SHORTEST, LONGEST), () => {
      if (this.#subscriptions.size > 0) this.#connect()
    })
  }

  #pingLater(connection: SubscriberConnection): void {
    this.#after(PING_INTERVAL, async () => {
      try {
        await inTime(asPromise(() => connection.ping()))
        if (this.#connection === connection) this.#pingLater(connection)
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

function unconfirmed(): Subscription {
  let resolve!: () => void
  const confirmed = new Promise<void>((resolved) => {
    resolve = resolved
  })
  return { confirmed, resolve }
}

function inTime(work: Promise<void>): Promise<void> {
  return withTimeout(work, COMMAND_TIMEOUT, () => new Error(`no answer in ${COMMAND_TIMEOUT} ms`))
}
