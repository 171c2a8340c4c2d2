import { getOrInsert } from './maps.js'

type Listener<Args extends unknown[]> = (...args: Args) => void

/** What of an emitter is used; a store need not have `off`. */
interface Emitter<Args extends unknown[]> {
  on(event: string, listener: Listener<Args>): unknown
  off?(event: string, listener: Listener<Args>): unknown
}

/** Calls several listeners of one event of one object by one listener. */
class Dispatcher<Args extends unknown[]> {
  listeners: readonly Listener<Args>[] = []
  isListening = false
  readonly call = (...args: Args): void => {
    for (const listener of this.listeners) listener(...args)
  }
}

/** Listeners of an event. Each object has one listener for all of them: Node warns of more than ten, and there may be many `sharedsession()` calls. */
export class SharedListeners<Args extends unknown[]> {
  readonly #event: string
  readonly #dispatchers = new WeakMap<object, Dispatcher<Args>>()

  constructor(event: string) {
    this.#event = event
  }

  /** @param target an emitter of the event. @returns removes the listener again */
  add(target: object, listener: Listener<Args>): () => void {
    // Emitters declare their events each in its own way.
    const emitter = target as Emitter<Args>
    const dispatcher = getOrInsert(this.#dispatchers, emitter, () => new Dispatcher<Args>())
    dispatcher.listeners = [...dispatcher.listeners, listener]
    if (!dispatcher.isListening) emitter.on(this.#event, dispatcher.call)
    dispatcher.isListening = true
    return () => {
      dispatcher.listeners = dispatcher.listeners.filter((each) => each !== listener)
      if (dispatcher.listeners.length > 0 || !emitter.off) return
      emitter.off(this.#event, dispatcher.call)
      dispatcher.isListening = false
    }
  }
}
