/** Own methods over an object's, until they are given back. */
export class Takeover<Method extends string> {
  readonly #target: object
  readonly #before = new Map<Method, PropertyDescriptor | undefined>()
  readonly #ours = new Map<Method, unknown>()

  constructor(target: object) {
    this.#target = target
  }

  put(method: Method, ours: (...args: never[]) => unknown): void {
    this.#before.set(method, Object.getOwnPropertyDescriptor(this.#target, method))
    this.#ours.set(method, ours)
    // Not enumerable, like the prototype's method that it mostly stands for.
    Object.defineProperty(this.#target, method, { value: ours, writable: true, configurable: true, enumerable: false })
  }

  /** Puts back what was there, where nobody has put anything over it since. */
  restore(): void {
    for (const [method, ours] of this.#ours) {
      if (Object.getOwnPropertyDescriptor(this.#target, method)?.value !== ours) continue
      const before = this.#before.get(method)
      if (before) Object.defineProperty(this.#target, method, before)
      else Reflect.deleteProperty(this.#target, method)
    }
  }
}
