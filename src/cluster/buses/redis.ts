import type { Bus, BusListener } from '../bus.js'
import type { SubscriberEndpoint } from './redis-subscriber.js'
import { ReconnectingSubscriber } from './subscriber.js'

/**
 * Redis as the bus: the driver publishes with its write, and this listens, on connections of its own, to the sessions that are live in
 * this process. On a cluster by sharded pub/sub, on the node that has the session.
 */
export class RedisBus implements Bus {
  readonly publishedByDriver = 'redis'
  readonly #placeOf: (channel: string) => SubscriberEndpoint | undefined
  readonly #tell: (channel: string, text: string) => Promise<unknown>
  readonly #lines = new Map<string, ReconnectingSubscriber>()
  /** The line that each topic is on. */
  readonly #topics = new Map<string, ReconnectingSubscriber>()
  #listener: BusListener | undefined

  /**
   * @param placeOf where to listen to a channel; `undefined` while that is not known
   * @param publish for what no script publishes
   */
  constructor(
    placeOf: (channel: string) => SubscriberEndpoint | undefined,
    publish: (channel: string, text: string) => Promise<unknown>,
  ) {
    this.#placeOf = placeOf
    this.#tell = publish
  }

  start(listener: BusListener): void {
    this.#listener = listener
  }

  subscribe(topic: string): Promise<void> {
    const line = this.#topics.get(topic) ?? this.#lineFor(topic)
    this.#topics.set(topic, line)
    return line.subscribe(topic)
  }

  unsubscribe(topic: string): void {
    this.#topics.get(topic)?.unsubscribe(topic)
    this.#topics.delete(topic)
  }

  async publish(topic: string, text: string): Promise<void> {
    await this.#tell(topic, text)
  }

  /** The places are others now: listens there. */
  moved(): void {
    for (const line of this.#lines.values()) line.close()
    this.#lines.clear()
    const topics = [...this.#topics.keys()]
    this.#topics.clear()
    // What was told in between was heard by nobody.
    Promise.all(topics.map((topic) => this.subscribe(topic))).then(() => this.#listener?.gap())
  }

  close(): void {
    for (const line of this.#lines.values()) line.close()
    this.#lines.clear()
    this.#topics.clear()
    this.#listener = undefined
  }

  #lineFor(topic: string): ReconnectingSubscriber {
    const name = this.#placeOf(topic)?.name ?? ''
    let line = this.#lines.get(name)
    if (!line) {
      line = new ReconnectingSubscriber(
        (lost) => {
          // Looked up each time: a cluster may have moved the slot, and not known its nodes at first.
          const place = this.#placeOf(topic)
          if (!place) throw new Error('the cluster does not know its nodes yet')
          return place.open({ message: (channel, text) => this.#heard(channel, text), lost })
        },
        () => this.#listener?.gap(),
      )
      this.#lines.set(name, line)
    }
    return line
  }

  #heard(channel: string, text: string): void {
    if (this.#topics.has(channel)) this.#listener?.heard(channel, text)
  }
}
