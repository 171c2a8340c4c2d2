import type { Server } from 'socket.io'
import type { Bus } from '../bus.js'
import { debug } from '../debug.js'
import { asPromise } from '../util/timeout.js'
import { AdapterBus, isClusterAdapter } from './buses/socketio-adapter.js'

/** Chooses the bus: the store's, if it is there, else socket.io's adapter. */
export class BusChoice {
  readonly #start: (bus: Bus) => void
  readonly #onAnswered: () => void
  /** The store's, while nobody knows whether it is there. */
  #asked: Bus | undefined
  /** The servers of that time. */
  readonly #servers = new Set<Server>()

  /**
   * @param start is called with the chosen bus. No other one is chosen until {@link close}
   * @param onAnswered is called when it is known whether an offered bus is there, and was started
   */
  constructor(start: (bus: Bus) => void, onAnswered: () => void) {
    this.#start = start
    this.#onAnswered = onAnswered
  }

  get isPending(): boolean {
    return this.#asked !== undefined
  }

  offer(bus: Bus): void {
    if (!bus.isAvailable) {
      this.#start(bus)
      this.#onAnswered()
      return
    }
    this.#asked = bus
    let isAvailable = false
    asPromise(async () => {
      isAvailable = (await bus.isAvailable?.()) === true
    })
      .catch((error) => debug('the bus is not available: %s', error?.message))
      .then(() => this.#answered(bus, isAvailable))
  }

  /** Chooses the adapter of a Socket.IO server, unless the store has a bus. */
  offerAdapter(io: Server): boolean {
    if (this.#asked) this.#servers.add(io)
    if (this.#asked || !isClusterAdapter(io)) return false
    this.#start(new AdapterBus(io))
    return true
  }

  /** Chooses nothing any more, until there is another offer. */
  close(): void {
    if (this.#asked) closeBus(this.#asked)
    this.#asked = undefined
    this.#servers.clear()
    this.#onAnswered()
  }

  #answered(bus: Bus, isAvailable: boolean): void {
    if (this.#asked !== bus) return
    this.#asked = undefined
    const servers = [...this.#servers]
    this.#servers.clear()
    debug('the bus of the store is %s', isAvailable ? 'there' : 'not there')
    if (isAvailable) this.#start(bus)
    else {
      closeBus(bus)
      servers.some((io) => this.offerAdapter(io))
    }
    this.#onAnswered()
  }
}

export function closeBus(bus: Bus): void {
  asPromise(() => bus.close()).catch((error) => debug('the bus could not be closed: %s', error?.message))
}
