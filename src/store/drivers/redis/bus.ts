import { BUS_NAME, type Bus, type BusListener } from '../../../bus.js'
import { getOrInsert } from '../../../util/bounded-map.js'
import type { SubscriberConnection, SubscriberEndpoint } from '../subscriber/connection.js'
import { ReconnectingSubscriber } from '../subscriber/reconnecting-subscriber.js'

/**
 * Redis as the bus. The driver publishes with its write. This subscribes, on connections of its own, to the sessions that are live in
 * this process. On a cluster by sharded pub/sub, on the node that has the session.
 */
export class RedisBus implements Bus {
  readonly [BUS_NAME] = 'redis'
  readonly publishedByDriver = 'redis'
  readonly #endpointOf: (channel: string) => SubscriberEndpoint | undefined
  readonly #publish: (topic: string, text: string) => Promise<void>
  /** By the name of their endpoint. */
  readonly #subscribers = new Map<string, ReconnectingSubscriber>()
  #listener: BusListener | undefined

  /**
   * @param endpointOf where to subscribe to a channel; `undefined` while that is not known
   * @param publish for a message that no write carries
   */
  constructor(
    endpointOf: (channel: string) => SubscriberEndpoint | undefined,
    publish: (topic: string, text: string) => Promise<void>,
  ) {
    this.#endpointOf = endpointOf
    this.#publish = publish
  }

  start(listener: BusListener): void {
    this.#listener = listener
  }

  subscribe(topic: string): Promise<void> | undefined {
    return (this.#subscriberOf(topic) ?? this.#subscriberFor(topic)).subscribe(topic)
  }

  unsubscribe(topic: string): void {
    this.#subscriberOf(topic)?.unsubscribe(topic)
  }

  publish(topic: string, text: string): Promise<void> {
    return this.#publish(topic, text)
  }

  /** All endpoints have changed: subscribes there. */
  moved(): void {
    const topics = [...this.#subscribers.values()].flatMap((subscriber) => [...subscriber.channels()])
    this.#closeSubscribers()
    // Messages in between were missed.
    Promise.all(topics.map((topic) => this.subscribe(topic))).then(() => this.#listener?.gap())
  }

  close(): void {
    this.#closeSubscribers()
    this.#listener = undefined
  }

  #closeSubscribers(): void {
    for (const subscriber of this.#subscribers.values()) subscriber.close()
    this.#subscribers.clear()
  }

  /** The one that is subscribed to it: on a cluster its slot may have moved since. */
  #subscriberOf(topic: string): ReconnectingSubscriber | undefined {
    for (const subscriber of this.#subscribers.values()) if (subscriber.has(topic)) return subscriber
    return undefined
  }

  #subscriberFor(topic: string): ReconnectingSubscriber {
    const name = this.#endpointOf(topic)?.name ?? ''
    return getOrInsert(this.#subscribers, name, () => {
      const open = (lost: () => void): SubscriberConnection => {
        // Looked up each time: a cluster may have moved the slot, and not known its nodes at first.
        const endpoint = this.#endpointOf(topic)
        if (!endpoint) throw new Error('the cluster does not know its nodes yet')
        return endpoint.open({ message: (channel, text) => this.#onMessage(channel, text), lost })
      }
      return new ReconnectingSubscriber(open, () => this.#listener?.gap())
    })
  }

  #onMessage(channel: string, text: string): void {
    if (this.#subscriberOf(channel)) this.#listener?.heard(channel, text)
  }
}
