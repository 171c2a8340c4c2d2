/**
 * In place of `util/attached.ts`, whose private fields on objects that are already made take more time here than the memory they save is worth.
 */
export class Attached<T> {
  readonly #values = new WeakMap<object, T>()

  get(target: object): T | undefined {
    return this.#values.get(target)
  }

  set(target: object, value: T): void {
    this.#values.set(target, value)
  }

  delete(target: object): void {
    this.#values.delete(target)
  }
}
