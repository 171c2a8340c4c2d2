/** A constructor that returns its argument: a subclass gives its private fields to that object. */
class Given {
  constructor(target: object) {
    // biome-ignore lint/correctness/noConstructorReturn: this is how an object gets a private field after it was made
    return target
  }
}

/**
 * A value for each of some objects, which nobody else sees, as with a WeakMap, in a private field of the object: V8 keeps the keys and values of a
 * WeakMap until its next full collection, which makes each request's session, and all that it refers to, as expensive as what stays.
 */
export class Attached<T> {
  readonly #type = attachable<T>()

  get(target: object): T | undefined {
    return this.#type.get(target)
  }

  set(target: object, value: T): void {
    this.#type.set(target, value)
  }

  delete(target: object): void {
    if (this.#type.get(target) !== undefined) this.#type.set(target, undefined)
  }
}

function attachable<T>() {
  return class Attachment extends Given {
    #value: T | undefined

    static get(target: object): T | undefined {
      return #value in target ? target.#value : undefined
    }

    static set(target: object, value: T | undefined): void {
      if (!(#value in target)) new Attachment(target)
      ;(target as Attachment).#value = value
    }
  }
}
