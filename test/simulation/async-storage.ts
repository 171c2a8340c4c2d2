/**
 * In place of Node's `AsyncLocalStorage`, which takes a quarter of the time of a simulation: what is stored does not outlast the turn. What the
 * sources keep in one is the depth of listeners that wake each other, and whether a store calls its own methods; nobody here does either.
 */
export class AsyncLocalStorage<T> {
  #current: T | undefined

  run<R>(value: T, call: () => R): R {
    const before = this.#current
    this.#current = value
    try {
      return call()
    } finally {
      this.#current = before
    }
  }

  getStore(): T | undefined {
    return this.#current
  }

  disable(): void {}
}
