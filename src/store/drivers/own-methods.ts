/** For each method of a package's store, the names that it reaches for, sorted; several where versions of the package differ. */
export type Methods = Readonly<Record<string, readonly string[]>>

/** What stood on a store before a gate of this package put its methods there. */
const covered = new WeakMap<object, PropertyDescriptor | undefined>()

/** @param ours a method that is about to be put over a store's @param before the own property that is there now */
export function cover(ours: object, before: PropertyDescriptor | undefined): void {
  covered.set(ours, before)
}

/** An object's own property, as it was before any gate: one that is given up stays until the requests in flight have ended. */
export function ownBefore(target: object, name: string): PropertyDescriptor | undefined {
  let own = Object.getOwnPropertyDescriptor(target, name)
  while (typeof own?.value === 'function' && covered.has(own.value)) own = covered.get(own.value)
  return own
}

/** A method of a store, without what a gate has put over it. */
export function methodOf(store: object, name: string): unknown {
  const current: unknown = Reflect.get(store, name)
  if (typeof current !== 'function' || !covered.has(current)) return current
  const own = ownBefore(store, name)
  return own ? (own.value ?? own.get?.call(store)) : Reflect.get(Object.getPrototypeOf(store), name, store)
}

/**
 * The methods of a store that are not those of the package that it seems to be of: those of a subclass, wrappers that were put over
 * them, and those of a version that is not known. A driver does the work of these methods and calls none of them, so it may only be used
 * where there is none. They are told by the names that their source reaches for, which a bundler leaves as they are.
 */
export function foreignMethods(store: object, methods: Methods): string[] {
  return Object.entries(methods)
    .filter(([name, known]) => !known.includes(reached(methodOf(store, name))))
    .map(([name]) => name)
}

/** The package's own method, also from under those that a subclass or somebody else has put over it. */
export function packageMethod(store: object, name: string, methods: Methods): ((...args: never[]) => unknown) | undefined {
  for (let target = store; target; target = Object.getPrototypeOf(target)) {
    const method: unknown = ownBefore(target, name)?.value
    if (methods[name]?.includes(reached(method))) return (method as (...args: never[]) => unknown).bind(store)
  }
  return undefined
}

/** Empty for what is no method, and for one whose source does not show. */
function reached(method: unknown): string {
  if (typeof method !== 'function') return ''
  const names = Function.prototype.toString.call(method).matchAll(/\.(#?[A-Za-z_$][\w$]*)/g)
  return [...new Set([...names].map(([, name]) => name as string))].sort().join(' ')
}
