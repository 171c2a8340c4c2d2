import { asPromise } from '../util/promises.js'

/** For each method of a package's store, the names that its source accesses, sorted; several where versions of the package differ. */
export type Methods = Readonly<Record<string, readonly string[]>>

/** By our methods: the own property of the store that each has replaced. */
const replaced = new WeakMap<object, PropertyDescriptor | undefined>()

/** Remembers what a method of ours is about to replace. @param before the store's own property, if it has one */
export function rememberReplaced(ours: object, before: PropertyDescriptor | undefined): void {
  replaced.set(ours, before)
}

/** An object's own property, as it was before it was intercepted: several interceptors may be there, until their requests have ended. */
export function ownBefore(target: object, name: string): PropertyDescriptor | undefined {
  let own = Object.getOwnPropertyDescriptor(target, name)
  while (typeof own?.value === 'function' && replaced.has(own.value)) own = replaced.get(own.value)
  return own
}

/** A method of a store, not intercepted. */
export function methodOf(store: object, name: string): unknown {
  const current: unknown = Reflect.get(store, name)
  if (typeof current !== 'function' || !replaced.has(current)) return current
  const own = ownBefore(store, name)
  return own ? (own.value ?? own.get?.call(store)) : Reflect.get(Object.getPrototypeOf(store), name, store)
}

/**
 * The methods of a store that are not its package's own: those of a subclass, wrappers, and those of a version that is not known. A
 * driver does the work of the package's methods and calls none of them, so it may only be used where no method is foreign. They are
 * recognized by the names that their source accesses, which a bundler does not change.
 */
export function foreignMethods(store: object, methods: Methods): string[] {
  return Object.entries(methods)
    .filter(([name, known]) => !known.includes(accessedNames(methodOf(store, name))))
    .map(([name]) => name)
}

/**
 * Runs the store's own `get` on a stand-in for its client, to see what it asks for: a copy of a package may have another function or constant,
 * and access the same names. To be called where `get` is not foreign.
 */
export function runGet(store: object, sid: string, client: object): void {
  const get = methodOf(store, 'get') as (sid: string, done: () => void) => unknown
  // A copy may refuse the id, or use more of its client: then it is no method of the package.
  asPromise(() => get.call(Object.create(store, { client: { value: client } }), sid, () => undefined)).catch(() => undefined)
}

/** The package's own method, also from under those that a subclass or somebody else has put over it. */
export function packageMethod(store: object, name: string, methods: Methods): ((...args: never[]) => unknown) | undefined {
  for (let target = store; target; target = Object.getPrototypeOf(target)) {
    const method: unknown = ownBefore(target, name)?.value
    if (methods[name]?.includes(accessedNames(method))) return (method as (...args: never[]) => unknown).bind(store)
  }
  return undefined
}

/** Has the store a method of the package's own, perhaps under others? Stores of others may have members of the same names. */
export function hasPackageMethod(store: object, methods: Methods): boolean {
  return Object.keys(methods).some((name) => packageMethod(store, name, methods) !== undefined)
}

/** Empty for anything but a function, and for a function without visible source. */
function accessedNames(method: unknown): string {
  if (typeof method !== 'function') return ''
  const names = Function.prototype.toString.call(method).matchAll(/\.(#?[A-Za-z_$][\w$]*)/g)
  return [...new Set([...names].map(([, name]) => name as string))].sort().join(' ')
}
