import { debug } from '../../../debug.js'
import { asPromise, backoff } from '../../../util/promises.js'
import { Channels, inTime } from './channels.js'
import type { SubscriberConnection } from './connection.js'

/** ms before a lost connection is opened again; it doubles up to the longest, and is jittered. */
const SHORTEST_DELAY = 50
const LONGEST_DELAY = 2000
/** ms between pings. */
const PING_INTERVAL = 10_000

/**
 * Keeps channels subscribed. It connects at the first subscription, connects again whenever the connection is lost, and pings it, as it may
 * be dead without saying so. Does not keep the process open.
 */
export class ReconnectingSubscriber {
  readonly #open: (lost: () => void) => SubscriberConnection
  readonly #onResumed: () => void
  readonly #channels = new Channels((connection, error) => {
    debug('a bus is not subscribed: %s', (error as Error | undefined)?.message)
    this.#lost(connection)
  })
  #connection: SubscriberConnection | undefined
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

  has(channel: string): boolean {
    return this.#channels.has(channel)
  }

  channels(): Iterable<string> {
    return this.#channels.names()
  }

  /**
   * @returns resolves when the server has confirmed it, the same promise for the channels of one tick; pending while there is no connection.
   * `undefined`: it is subscribed to
   */
  subscribe(channel: string): Promise<void> | undefined {
    const confirmed = this.#channels.add(channel)
    if (!this.#connection && !this.#timer) this.#connect()
    return confirmed
  }

  /** The connection stays open: there will be other channels. */
  unsubscribe(channel: string): void {
    this.#channels.delete(channel)
  }

  /** Gives up a channel that another subscriber takes over. @returns is to be called when that one is subscribed */
  release(channel: string): () => void {
    return this.#channels.release(channel)
  }

  close(): void {
    this.#channels.clear()
    clearTimeout(this.#timer)
    this.#timer = undefined
    const connection = this.#connection
    this.#connection = undefined
    connection?.destroy()
  }

  async #connect(): Promise<void> {
    let connection: SubscriberConnection | undefined
    try {
      connection = this.#open(() => this.#lost(connection))
      this.#connection = connection
      await inTime(asPromise(() => connection?.connect()))
      if (this.#connection !== connection) return connection.destroy()
      await this.#channels.attach(connection)
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

  #lost(connection: SubscriberConnection | undefined): void {
    if (!connection || this.#connection !== connection) return
    this.#connection = undefined
    connection.destroy()
    if (this.#channels.detach()) this.#interrupted = true
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#channels.size > 0) this.#reconnectLater()
  }

  #reconnectLater(): void {
    this.#after(backoff(this.#failures++, SHORTEST_DELAY, LONGEST_DELAY), () => {
      if (this.#channels.size > 0) this.#connect()
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
