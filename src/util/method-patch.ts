interface Taken<Method> {
  method: Method
  before: PropertyDescriptor | undefined
  ours: unknown
}

/** Own methods over an object's, until they are given back. */
export class MethodPatch<Method extends string> {
  readonly #target: object
  #taken: Taken<Method>[] = []

  constructor(target: object) {
    this.#target = target
  }

  replace(method: Method, ours: (...args: never[]) => unknown): void {
    // Each socket has one of these: an array that is pushed to has room for seventeen.
    this.#taken = this.#taken.concat({ method, before: Object.getOwnPropertyDescriptor(this.#target, method), ours })
    // Not enumerable, like the prototype's method that it mostly stands for.
    Object.defineProperty(this.#target, method, { value: ours, writable: true, configurable: true, enumerable: false })
  }

  /** Puts back what was there, where nobody has put anything over it since. */
  restore(): void {
    for (const { method, before, ours } of this.#taken) {
      if (Object.getOwnPropertyDescriptor(this.#target, method)?.value !== ours) continue
      if (before) Object.defineProperty(this.#target, method, before)
      else Reflect.deleteProperty(this.#target, method)
    }
  }
}
