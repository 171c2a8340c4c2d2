/** express-session's own store keeps its sessions as strings in an object without a prototype: nobody else can write there. */
export function isMemoryStore(store: object): boolean {
  const { sessions } = store as { sessions?: object }
  return typeof sessions === 'object' && sessions !== null && Object.getPrototypeOf(sessions) === null
}

/** Its methods do not use each other; those of a class that derives from it may. */
export function isPlainMemoryStore(store: object): boolean {
  const own = (target: object, name: string): boolean => Object.hasOwn(target, name)
  const methods = ['get', 'set', 'destroy', 'touch', 'all', 'clear']
  const prototype: object = Object.getPrototypeOf(store)
  return isMemoryStore(store) && methods.every((name) => own(prototype, name) && !own(store, name))
}
