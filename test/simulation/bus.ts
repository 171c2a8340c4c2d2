import type { Bus, BusListener } from '../../src/bus.js'
import { commitLog } from './commit-log.js'
import type { Profile } from './profile.js'
import type { Client } from './store.js'
import type { Process, World } from './world.js'

/** The server between the simulated buses of all nodes. */
export class BusHub {
  readonly ends = new Set<SimulatedBus>()
  readonly world: World
  readonly profile: Profile

  constructor(world: World, profile: Profile) {
    this.world = world
    this.profile = profile
  }

  publish(topic: string, text: string, from: Process): void {
    const { random, faulty } = this.world
    for (const end of this.ends) {
      if (end.client === from && random.chance(0.8)) continue
      if (!end.isSubscribed(topic)) continue
      if (faulty && this.profile.losesMessages && random.chance(0.15)) continue
      const times = faulty && random.chance(this.profile.busFaults * 0.3) ? 2 : 1
      for (let time = 0; time < times; time++) end.deliver(topic, text)
    }
  }

  latency(): number {
    const { random, faulty } = this.world
    const { busFaults } = this.profile
    if (!faulty || !random.chance(busFaults)) return random.below(3)
    return random.below(random.chance(0.9) ? 100 : 3000)
  }
}

/** One node's end of the bus. While it is not connected, messages are lost; then it says that there was a gap. */
export class SimulatedBus implements Bus {
  readonly publishedByDriver?: string
  readonly maxBytes?: number
  readonly isPublic: boolean
  readonly client: Client
  readonly #hub: BusHub
  /** By topic: is the subscription in effect? */
  readonly topics = new Map<string, boolean>()
  /** Until then a subscription takes long. */
  slowUntil = 0
  #listener: BusListener | undefined
  #connected = true
  /** Grows whenever the connection is lost: what was on its way is lost as well. */
  #connection = 0
  #missed: (() => void)[] = []

  constructor(hub: BusHub, client: Client) {
    this.#hub = hub
    this.client = client
    const { bus, isPublic, maxBusBytes } = hub.profile
    if (bus === 'driver') this.publishedByDriver = 'redis'
    if (maxBusBytes !== undefined) this.maxBytes = maxBusBytes
    this.isPublic = isPublic
    hub.ends.add(this)
  }

  start(listener: BusListener): void {
    this.#listener = listener
  }

  isSubscribed(topic: string): boolean {
    return this.#connected && this.topics.get(topic) === true
  }

  subscribe(topic: string): Promise<void> {
    this.topics.set(topic, false)
    const { world } = this.#hub
    const rejects = !this.#connected && world.random.chance(0.5)
    if (rejects) return Promise.reject(new Error('not connected'))
    return new Promise((resolve) => {
      if (this.#connected) this.#takeEffect([topic], resolve)
      else this.#missed.push(resolve)
    })
  }

  #takeEffect(topics: string[], then: () => void): void {
    const { world } = this.#hub
    const connection = this.#connection
    const { slowUntil } = this
    const latency = slowUntil > world.now ? world.random.between(100, 3000) : this.#hub.latency()
    world.after(latency, undefined, 'subscribed', () => {
      if (connection !== this.#connection || !this.#listener) {
        if (this.#listener) this.#again(then)
        return
      }
      for (const topic of topics) if (this.topics.has(topic)) this.topics.set(topic, true)
      world.after(this.#hub.latency(), this.client, 'subscription answered', () => {
        if (connection === this.#connection && !this.client.dead) then()
        else if (!this.client.dead) this.#again(then)
      })
    })
  }

  /** The answer to a subscription was lost with its connection. */
  #again(then: () => void): void {
    if (this.#connected) this.#takeEffect([...this.topics.keys()], then)
    else this.#missed.push(then)
  }

  unsubscribe(topic: string): void {
    this.topics.delete(topic)
  }

  publish(topic: string, text: string): Promise<void> {
    const { world, profile } = this.#hub
    if (this.client.dead) return new Promise(() => undefined)
    if (!this.#connected) {
      // The others are to hear of it: nobody has told them of a gap.
      const isLost = profile.losesMessages && world.random.chance(0.5)
      if (isLost) return Promise.reject(new Error('not connected'))
    }
    return new Promise((resolve) => {
      world.after(this.#hub.latency(), undefined, 'published', () => {
        this.#hub.publish(topic, text, this.client)
        world.after(this.#hub.latency(), this.client, 'publish answered', resolve)
      })
    })
  }

  deliver(topic: string, text: string): void {
    const connection = this.#connection
    this.#hub.world.after(this.#hub.latency(), this.client, 'message', () => {
      if (connection !== this.#connection || this.client.dead || !this.topics.has(topic)) return
      commitLog.current?.heard(this.client.name, text)
      this.#listener?.heard(topic, text)
    })
  }

  /** The connection breaks. */
  disconnect(): void {
    this.#connected = false
    this.#connection++
    for (const topic of this.topics.keys()) this.topics.set(topic, false)
  }

  /** The connection is there again: subscriptions take effect anew, and the listener is told that there was a gap. */
  reconnect(): void {
    if (this.#connected || this.client.dead) return
    this.#connected = true
    const missed = this.#missed
    this.#missed = []
    this.#takeEffect([...this.topics.keys()], () => {
      for (const resolve of missed) resolve()
      this.#listener?.gap()
    })
  }

  close(): void {
    this.#listener = undefined
    this.topics.clear()
    this.#hub.ends.delete(this)
  }
}
