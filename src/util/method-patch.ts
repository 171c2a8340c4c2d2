interface Replaced {
  before: PropertyDescriptor | undefined
  replacement: unknown
}

/** Replacements that were restored while another patch was on top of them, with what they had replaced. */
const withdrawn = new WeakMap<object, PropertyDescriptor | undefined>()

/** Replaces methods of an object until they are restored. */
export class MethodPatch<Method extends string> {
  readonly #target: object
  readonly #replaced = new Map<Method, Replaced>()

  constructor(target: object) {
    this.#target = target
  }

  /** Each method once. */
  replace(method: Method, replacement: (...args: never[]) => unknown): void {
    this.#replaced.set(method, { before: Object.getOwnPropertyDescriptor(this.#target, method), replacement })
    // Not enumerable, like the prototype's method that it mostly stands for.
    Object.defineProperty(this.#target, method, { value: replacement, writable: true, configurable: true, enumerable: false })
  }

  /** Is our method called, and not one that somebody has put over it? */
  isOnTop(method: Method): boolean {
    const replaced = this.#replaced.get(method)
    return replaced !== undefined && replaced.replacement === Reflect.get(this.#target, method)
  }

  /** Puts the methods back, except those that somebody else has replaced since: those of another patch are put back with that one. */
  restore(): void {
    for (const [method, { before, replacement }] of this.#replaced) {
      if (Object.getOwnPropertyDescriptor(this.#target, method)?.value !== replacement) {
        withdrawn.set(replacement as object, before)
        continue
      }
      let present = before
      while (present && withdrawn.has(Object(present.value))) present = withdrawn.get(present.value)
      if (present) Object.defineProperty(this.#target, method, present)
      else Reflect.deleteProperty(this.#target, method)
    }
  }
}
