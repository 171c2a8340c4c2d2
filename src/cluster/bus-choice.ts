import type { Server } from 'socket.io'
import type { Bus } from '../bus.js'
import { debug, warnOnceOf } from '../debug.js'
import { asPromise } from '../util/promises.js'
import { AdapterBus, isClusterAdapter } from './buses/socketio-adapter.js'

/** Chooses the bus: the store's, if it is there, else socket.io's adapter. */
export class BusChoice {
  readonly #start: (bus: Bus) => void
  readonly #onAnswered: () => void
  /** The store's, while nobody knows whether it is there. */
  #asked: Bus | undefined
  /** The store's is not there, and is not asked again. */
  #isUnavailable = false
  /** The servers of the time until it has answered. */
  readonly #servers = new Set<Server>()

  /**
   * @param start is called with the chosen bus. No other one is chosen until {@link close}
   * @param onAnswered is called when it is known whether a bus that was asked is there, and it was started
   */
  constructor(start: (bus: Bus) => void, onAnswered: () => void) {
    this.#start = start
    this.#onAnswered = onAnswered
  }

  /** The store's bus was offered, and has not been started. */
  get isOffered(): boolean {
    return this.#asked !== undefined || this.#isUnavailable
  }

  offer(bus: Bus): void {
    if (bus.isAvailable) this.#ask(bus)
    else this.#start(bus)
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
    this.#isUnavailable = false
    this.#servers.clear()
    this.#onAnswered()
  }

  async #ask(bus: Bus): Promise<void> {
    this.#asked = bus
    const isAvailable = await this.#isAvailable(bus)
    if (this.#asked !== bus) return
    this.#asked = undefined
    const servers = [...this.#servers]
    this.#servers.clear()
    debug('the bus of the store is %s', isAvailable ? 'there' : 'not there')
    if (!isAvailable || !this.#isStarted(bus)) {
      this.#isUnavailable = true
      closeBus(bus)
      servers.some((io) => this.offerAdapter(io))
    }
    this.#onAnswered()
  }

  async #isAvailable(bus: Bus): Promise<boolean> {
    try {
      return (await bus.isAvailable?.()) === true
    } catch (error) {
      debug('the bus is not available: %s', (error as Error | undefined)?.message)
      return false
    }
  }

  /** The caller of `sharedsession()` is not there any more: nobody could catch what the bus throws. */
  #isStarted(bus: Bus): boolean {
    try {
      this.#start(bus)
      return true
    } catch (error) {
      warnOnceOf(bus, `The bus could not be started, and is not used: ${(error as Error | undefined)?.message}`)
      return false
    }
  }
}

export function closeBus(bus: Bus): void {
  asPromise(() => bus.close()).catch((error) => debug('the bus could not be closed: %s', error?.message))
}
