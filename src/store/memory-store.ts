/** What express-session's own store keeps: the JSON of its sessions. */
export interface MemoryStore {
  sessions: Record<string, string>
}

/** It keeps its sessions in an object without a prototype: nobody else can write there. */
export function isMemoryStore(store: object): store is MemoryStore {
  const { sessions } = store as { sessions?: object }
  return typeof sessions === 'object' && sessions !== null && Object.getPrototypeOf(sessions) === null
}

/** Nobody has put methods of their own over its, or derived a class from it. */
export function isPlainMemoryStore(store: object): store is MemoryStore {
  const own = (target: object, name: string): boolean => Object.hasOwn(target, name)
  const methods = ['get', 'set', 'destroy', 'touch', 'all', 'clear']
  const prototype: object = Object.getPrototypeOf(store)
  return isMemoryStore(store) && methods.every((name) => own(prototype, name) && !own(store, name))
}
