import {
  ABSENT,
  type Box,
  type Dict,
  isBox,
  isList,
  isObject,
  type JsonObject,
  type JsonValue,
  type Key,
  keysOf,
} from './json.js'
import { plain } from './plain.js'

interface Guest<A> {
  /** Its image when it was assigned, for the case that it becomes impossible to store. */
  image: unknown
  author: A | undefined
}

/**
 * Values that JSON would write differently: Dates, Maps and class instances, `undefined`, functions, NaN, holes. They stay as they
 * are, usable by the handler that put them there, until settling makes their JSON image of them.
 */
export class Guests<A> {
  private holders: Set<Box> | undefined
  private guests: Map<object, Guest<A>> | undefined

  /**
   * @param told what to do with the error where a guest can no longer be stored
   * @param lossy is told of a guest at its settling whose class has what JSON cannot bring back
   */
  constructor(
    private readonly told: (error: unknown, holder: Box, key: Key, author: A | undefined) => void,
    private readonly lossy: (holder: Box, key: Key, value: object) => void,
  ) {}

  /** `holder` holds something that JSON would write differently. */
  note(holder: Box): void {
    this.holders ??= new Set()
    this.holders.add(holder)
  }

  welcome(guest: object, image: unknown, author: A | undefined): void {
    this.guests ??= new Map()
    this.guests.set(guest, { image, author })
  }

  /** A copy of a value of the live tree, as JSON would write it; {@link ABSENT} for what JSON leaves out. */
  image(value: unknown): JsonValue | typeof ABSENT {
    if (isBox(value)) return isList(value) ? Array.from(value, (item) => this.item(item)) : this.dict(value)
    return this.leaf(value) as JsonValue | typeof ABSENT
  }

  /** The same for an object whose prototype is not a plain one: the root. */
  dict(raw: Dict): JsonObject {
    const copy: JsonObject = {}
    for (const key of keysOf(raw)) {
      const value = this.image(raw[key])
      if (value !== ABSENT) copy[key] = value
    }
    return copy
  }

  /** The image of an array's element, which JSON cannot leave out. */
  item(value: unknown): JsonValue {
    const image = this.image(value)
    return image === ABSENT ? null : image
  }

  /** Makes of every guest what JSON makes of it. */
  settle(): void {
    for (const raw of this.holders ?? []) {
      if (isList(raw)) {
        for (let index = 0; index < raw.length; index++) {
          const value = this.settled(raw, index)
          raw[index] = value === ABSENT ? null : value
        }
      } else {
        for (const key of Object.keys(raw)) {
          const value = this.settled(raw, key)
          if (value === ABSENT) delete raw[key]
          else raw[key] = value
        }
      }
    }
    this.holders = undefined
    this.guests = undefined
  }

  private settled(holder: Box, key: Key): unknown {
    const value = (holder as Dict)[key]
    if (isObject(value) && hasClass(value)) this.lossy(holder, key, value)
    return isBox(value) ? value : this.leaf(value, (error, author) => this.told(error, holder, key, author))
  }

  /** A guest that can no longer be stored keeps the image it had when it was assigned. */
  private leaf(value: unknown, told?: (error: unknown, author: A | undefined) => void): unknown {
    try {
      return plain(value, [])
    } catch (error) {
      const guest = this.guests?.get(value as object) as Guest<A>
      told?.(error, guest.author)
      return guest.image
    }
  }
}

/** Has its class anything that JSON cannot bring back? One without methods is as good as its data. */
function hasClass(value: object): boolean {
  if (isBox(value)) return false
  const classes: object[] = []
  for (let one = Object.getPrototypeOf(value); one; one = Object.getPrototypeOf(one)) classes.push(one)
  // The last one is Object.prototype, of whichever realm.
  return classes.slice(0, -1).some((one) => Reflect.ownKeys(one).some((key) => key !== 'constructor'))
}
