export type Unsubscribe = () => void

/** A value that changes. It is a store by Svelte's contract. */
export interface Store<T> {
  /** The value now. It is the same object as long as nothing in it has changed. */
  get(): T
  /**
   * Calls a function with the value now, and with each later one.
   * @returns unsubscribes
   */
  subscribe(listener: (value: T) => void): Unsubscribe
  /**
   * Calls a function with each later value.
   * @returns unsubscribes
   */
  listen(listener: (value: T) => void): Unsubscribe
}

/** @param changes calls a function when the value may have changed */
export const createStore = <T>(get: () => T, changes: (listener: () => void) => Unsubscribe): Store<T> => {
  const listen: Store<T>['listen'] = (listener) => {
    let last = get()
    return changes(() => {
      const before = last
      last = get()
      if (!Object.is(before, last)) listener(last)
    })
  }
  return {
    get,
    listen,
    subscribe(listener) {
      const stop = listen(listener)
      listener(get())
      return stop
    },
  }
}

/** Computes something of a state, and only when the state changes. What is equal to what it was before stays the same object. */
export function memoize<T, R>(get: () => T | undefined, select: (state: T) => R, equal: (a: R, b: R) => boolean = Object.is) {
  let state: T | undefined
  let selection: R | undefined
  return (): R | undefined => {
    const now = get()
    if (now !== state) {
      const next = now && select(now)
      if (next === undefined || selection === undefined || !equal(selection, next as R)) selection = next as R
      state = now
    }
    return selection
  }
}
