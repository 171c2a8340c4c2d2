import type { AnySocket, PlainSession } from './types.js'

// The types of the option `publish` and of what it publishes.

/** Returns what pages get. A second parameter makes it run once per socket. A promise is no state. */
export type PublishFunction = (session: PlainSession, socket: AnySocket) => object & NoPromise

/** An object that is no promise. */
interface NoPromise {
  then?: never
}

/** A path of the session's data, as `'user.name'`. A dot in a key is written `'a\\.b'`. */
export type PublishPath = PathOf<PlainSession, [0, 0, 0, 0]>

/** What the option `publish` takes. */
export type PublishOption = PublishFunction | readonly PublishPath[]

/** What pages have, as JSON: of one value of the option. */
export type PublishedBy<Publish> = [PublishOption] extends [Publish]
  ? unknown
  : Publish extends (...args: never[]) => infer State
    ? JsonOf<State>
    : Publish extends readonly (infer Path extends string)[]
      ? JsonOf<UnionToIntersection<Path extends string ? PickPath<PlainSession, Path> : never>>
      : never

/** What `JSON.parse(JSON.stringify(value))` returns: a `Date` is a string, and what is undefined is absent. */
export type JsonOf<T> =
  IsAny<T> extends true
    ? T
    : T extends string | number | boolean | null
      ? T
      : T extends HasJson<infer Json>
        ? JsonOf<Json>
        : T extends NoJson
          ? never
          : T extends readonly unknown[]
            ? {
                -readonly [Index in keyof T]:
                  | JsonOf<Exclude<T[Index], NoJson>>
                  | (Extract<T[Index], NoJson> extends never ? never : null)
              }
            : T extends object
              ? Flat<JsonFields<T>>
              : T

interface HasJson<Json> {
  toJSON(...args: never[]): Json
}

/** What JSON leaves out. */
type NoJson = undefined | symbol | ((...args: never[]) => unknown)

type JsonFields<T extends object> = {
  -readonly [Key in keyof T as Key extends symbol ? never : Presence<T[Key]> extends 'always' ? Key : never]: JsonOf<T[Key]>
} & {
  -readonly [Key in keyof T as Key extends symbol ? never : Presence<T[Key]> extends 'maybe' ? Key : never]?: JsonOf<
    Exclude<T[Key], NoJson>
  >
}

/** Is a property with this value in the JSON? */
type Presence<Value> =
  IsAny<Value> extends true
    ? 'always'
    : [Exclude<Value, NoJson>] extends [never]
      ? 'never'
      : [Extract<Value, NoJson>] extends [never]
        ? 'always'
        : 'maybe'

type IsAny<T> = 0 extends 1 & T ? true : false

type Flat<T> = { [Key in keyof T]: T[Key] }

type UnionToIntersection<Union> = (Union extends unknown ? (each: Union) => void : never) extends (all: infer All) => void
  ? All
  : never

/** @template Depth how many more keys a path may have: a type may contain itself */
type PathOf<T, Depth extends readonly 0[]> = {
  [Key in keyof T & string]-?: Escaped<Key> | Below<Exclude<T[Key], NoJson | null>, Escaped<Key>, Depth>
}[keyof T & string]

type Below<T, Key extends string, Depth extends readonly 0[]> =
  IsAny<T> extends true
    ? string
    : Depth extends readonly [0, ...infer Rest extends readonly 0[]]
      ? T extends readonly unknown[] | string | number | boolean | bigint | HasJson<unknown> | NoJson
        ? never
        : `${Key}.${PathOf<T, Rest>}`
      : never

type Escaped<Key extends string> = Key extends `${infer Head}.${infer Rest}` ? `${Head}\\.${Escaped<Rest>}` : Key

type PickPath<T, Path extends string> = {
  [Key in keyof T & string]: Path extends Escaped<Key>
    ? Pick<T, Key>
    : Path extends `${Escaped<Key>}.${infer Rest}`
      ? { [Parent in Key]?: PickPath<Exclude<T[Key], NoJson | null>, Rest> }
      : never
}[keyof T & string]
