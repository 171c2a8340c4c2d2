import { asPromise, deferred, withTimeout } from '../../../util/promises.js'
import type { SubscriberConnection } from './connection.js'

/** How many channels one command names. */
const CHUNK = 1000
/** ms that the answer to a command may take. */
const COMMAND_TIMEOUT = 5000

/** The channels that were subscribed to in one tick, and have one promise. */
interface Batch {
  /** Resolves when the server has confirmed all of them that are still wanted; `undefined`: it has. */
  readonly confirmed: Promise<void> | undefined
  /** One of them was confirmed, or is not wanted any more. */
  settled(): void
}

const CONFIRMED: Batch = { confirmed: undefined, settled() {} }

/**
 * The channels of one connection. What is subscribed and unsubscribed in one tick is sent together, and so is what comes while
 * the server has not answered yet: a busy process sends few commands. So a channel never has two commands under way: the client libraries take
 * a SUBSCRIBE for done which follows on an UNSUBSCRIBE that was not answered yet.
 */
export class Channels {
  readonly #onRefused: (connection: SubscriberConnection, error: unknown) => void
  readonly #wanted = new Map<string, Batch>()
  /** Those that the server still has, and whose UNSUBSCRIBE was not sent yet. */
  readonly #unwanted = new Set<string>()
  /** Those that may have something to be sent. */
  #changed: string[] = []
  #batch: (Batch & { size: number }) | undefined
  #isScheduled = false
  /** How many commands the connection has not answered. */
  #unanswered = 0
  #connection: SubscriberConnection | undefined

  /** @param onRefused is called when a command fails, or is not answered */
  constructor(onRefused: (connection: SubscriberConnection, error: unknown) => void) {
    this.#onRefused = onRefused
  }

  get size(): number {
    return this.#wanted.size
  }

  has(channel: string): boolean {
    return this.#wanted.has(channel)
  }

  names(): Iterable<string> {
    return this.#wanted.keys()
  }

  /** @returns resolves when the server has confirmed it, and all others of this tick; `undefined`: it has */
  add(channel: string): Promise<void> | undefined {
    const known = this.#wanted.get(channel)
    if (known) return known.confirmed
    if (this.#unwanted.delete(channel)) {
      this.#wanted.set(channel, CONFIRMED)
      return undefined
    }
    // One whose channels have all settled has resolved.
    if (!this.#batch?.size) this.#batch = unconfirmed()
    this.#batch.size++
    this.#wanted.set(channel, this.#batch)
    this.#change(channel)
    return this.#batch.confirmed
  }

  delete(channel: string): void {
    const batch = this.#wanted.get(channel)
    if (!batch) return
    this.#wanted.delete(channel)
    batch.settled()
    if (batch !== CONFIRMED) return
    this.#unwanted.add(channel)
    this.#change(channel)
  }

  /** Forgets one of them. Its promise stays pending. @returns settles that */
  release(channel: string): () => void {
    const batch = this.#wanted.get(channel)
    this.#wanted.delete(channel)
    return () => batch?.settled()
  }

  /** Forgets all of them. Promises stay pending. */
  clear(): void {
    this.detach()
    this.#wanted.clear()
    this.#batch = undefined
  }

  /** Subscribes to all of them on a new connection. Resolves when it has confirmed all, or was lost. */
  async attach(connection: SubscriberConnection): Promise<void> {
    this.#connection = connection
    await Promise.all(this.#subscribe(connection, [...this.#wanted.keys()]))
  }

  /** The connection is lost. @returns whether messages may be */
  detach(): boolean {
    const wasInUse = this.#unanswered > 0
    this.#connection = undefined
    this.#unanswered = 0
    this.#unwanted.clear()
    const again = unconfirmed()
    for (const [channel, batch] of this.#wanted) {
      if (batch !== CONFIRMED) continue
      again.size++
      this.#wanted.set(channel, again)
    }
    return wasInUse || again.size > 0
  }

  #change(channel: string): void {
    this.#changed.push(channel)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled || this.#unanswered > 0 || this.#changed.length === 0) return
    this.#isScheduled = true
    setImmediate(() => this.#send())
  }

  #send(): void {
    const changed = new Set(this.#changed)
    this.#isScheduled = false
    this.#batch = undefined
    this.#changed = []
    const connection = this.#connection
    if (!connection) return
    const removed: string[] = []
    const added: string[] = []
    for (const channel of changed) {
      if (this.#unwanted.delete(channel)) removed.push(channel)
      else if ((this.#wanted.get(channel) ?? CONFIRMED) !== CONFIRMED) added.push(channel)
    }
    this.#command(connection, removed, 'unsubscribe', () => undefined)
    this.#subscribe(connection, added)
  }

  #subscribe(connection: SubscriberConnection, channels: string[]): Promise<void>[] {
    return this.#command(connection, channels, 'subscribe', (channel) => {
      const batch = this.#wanted.get(channel)
      if (batch) {
        this.#wanted.set(channel, CONFIRMED)
        batch.settled()
      } else {
        this.#unwanted.add(channel)
        this.#change(channel)
      }
    })
  }

  #command(
    connection: SubscriberConnection,
    channels: string[],
    name: 'subscribe' | 'unsubscribe',
    onAnswered: (channel: string) => void,
  ): Promise<void>[] {
    return inChunks(channels).map(async (chunk) => {
      this.#unanswered++
      try {
        await inTime(asPromise(() => connection[name](chunk)))
      } catch (error) {
        this.#onRefused(connection, error)
        return
      }
      if (this.#connection !== connection) return
      this.#unanswered--
      for (const channel of chunk) onAnswered(channel)
      this.#schedule()
    })
  }
}

export function inTime(work: Promise<void>): Promise<void> {
  return withTimeout(work, COMMAND_TIMEOUT, () => new Error(`no answer in ${COMMAND_TIMEOUT} ms`))
}

function inChunks(channels: string[]): string[][] {
  const chunks: string[][] = []
  for (let start = 0; start < channels.length; start += CHUNK) chunks.push(channels.slice(start, start + CHUNK))
  return chunks
}

function unconfirmed(): Batch & { size: number } {
  const { promise: confirmed, resolve } = deferred()
  const batch = {
    size: 0,
    confirmed,
    settled() {
      if (--batch.size === 0) resolve()
    },
  }
  return batch
}
