/** What one {@link Attached} has for an object, and the next one's. */
class Entry {
  constructor(
    readonly owner: object,
    public value: unknown,
    public next: Entry | undefined,
  ) {}
}

/** A constructor that returns its argument: a subclass gives its private fields to that object. */
class Given {
  constructor(target: object) {
    // biome-ignore lint/correctness/noConstructorReturn: this is how an object gets a private field after it was made
    return target
  }
}

/** The one private field of an object, for all that is attached to it. */
class Entries extends Given {
  #first: Entry | undefined

  static first(target: object): Entry | undefined {
    return #first in target ? target.#first : undefined
  }

  static setFirst(target: object, first: Entry | undefined): void {
    Entries.reserve(target)
    ;(target as Entries).#first = first
  }

  static reserve(target: object): void {
    if (!(#first in target)) new Entries(target)
  }
}

/**
 * Gives an object the field in which all that is attached to it is kept. An object whose field comes between two properties of others, of
 * which the first one is deleted later, becomes a hash table in V8, of one or two kB.
 */
export function reserveAttached(target: object): void {
  Entries.reserve(target)
}

/**
 * A value for each of some objects, which nobody else sees, as with a WeakMap, in a private field of the object: V8 keeps the keys and values of a
 * WeakMap until its next full collection, which makes each request's session, and all that it refers to, as expensive as what stays.
 */
export class Attached<T> {
  get(target: object): T | undefined {
    return this.#entry(target)?.value as T | undefined
  }

  set(target: object, value: T): void {
    const entry = this.#entry(target)
    if (entry) entry.value = value
    else Entries.setFirst(target, new Entry(this, value, Entries.first(target)))
  }

  delete(target: object): void {
    let before: Entry | undefined
    for (let entry = Entries.first(target); entry; entry = entry.next) {
      if (entry.owner === this) {
        if (before) before.next = entry.next
        else Entries.setFirst(target, entry.next)
        return
      }
      before = entry
    }
  }

  #entry(target: object): Entry | undefined {
    let entry = Entries.first(target)
    while (entry && entry.owner !== this) entry = entry.next
    return entry
  }
}
