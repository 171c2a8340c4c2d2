import type { OwnBusListener } from '../../src/bus.js'
import type { Bus } from '../../src/index.js'

/** What happens to a text on its way to one listener: how often it comes, and when. */
export type Weather = (deliver: () => void) => void

/** A bus between applications of one process, on which a test decides what is lost, doubled and late. */
export class MemoryBus {
  weather: Weather = (deliver) => deliver()
  /** All that was published, in order. */
  readonly texts: { topic: string; text: string }[] = []
  readonly #ends = new Set<End>()

  /** One application's end of it. */
  end(): Bus & { gap(): void; moved(): void; readonly topics: ReadonlySet<string> } {
    const end = new End(this)
    this.#ends.add(end)
    return end
  }

  publish(from: unknown, topic: string, text: string): void {
    this.texts.push({ topic, text })
    for (const end of this.#ends) if (end !== from) this.weather(() => end.heard(topic, text))
  }

  /** As a process would that nobody knows. */
  forge(topic: string, text: string): void {
    for (const end of this.#ends) end.heard(topic, text)
  }
}

class End implements Bus {
  readonly topics = new Set<string>()
  readonly #bus: MemoryBus
  #listener: OwnBusListener | undefined

  constructor(bus: MemoryBus) {
    this.#bus = bus
  }

  start(listener: OwnBusListener): void {
    this.#listener = listener
  }

  async subscribe(topic: string): Promise<void> {
    this.topics.add(topic)
  }

  unsubscribe(topic: string): void {
    this.topics.delete(topic)
  }

  publish(topic: string, text: string): void {
    this.#bus.publish(this, topic, text)
  }

  close(): void {
    this.topics.clear()
    this.#listener = undefined
  }

  heard(topic: string, text: string): void {
    if (this.topics.has(topic)) this.#listener?.heard(topic, text)
  }

  gap(): void {
    this.#listener?.gap()
  }

  /** The store is on another server: nothing is subscribed to any more. */
  moved(): void {
    this.topics.clear()
    this.#listener?.moved?.()
  }
}
