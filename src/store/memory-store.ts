/** What express-session's own store keeps: the JSON of its sessions. */
export interface MemoryStore {
  sessions: Record<string, string>
}

/** It keeps its sessions in an object without a prototype: nobody else can write there. */
export function isMemoryStore(store: object): store is MemoryStore {
  const { sessions } = store as { sessions?: object }
  return typeof sessions === 'object' && sessions !== null && Object.getPrototypeOf(sessions) === null
}

/** Nobody has put methods of their own over its; and those it has do what express-session's do. */
export function isPlainMemoryStore(store: object): store is MemoryStore {
  const own = (target: object, name: string): boolean => Object.hasOwn(target, name)
  const methods = ['get', 'set', 'destroy', 'touch', 'all', 'clear']
  const prototype: object = Object.getPrototypeOf(store)
  return isMemoryStore(store) && methods.every((name) => own(prototype, name) && !own(store, name)) && keepsTexts(prototype)
}

/** Tried on an object that has the methods and nothing else: a class that has all of them may encrypt, or count. */
function keepsTexts(prototype: object): boolean {
  const sessions: Record<string, unknown> = Object.create(null)
  const trial = Object.assign(Object.create(prototype), { sessions })
  try {
    ignore(trial.set('there', { cookie: { path: '/' }, n: 1 }))
    ignore(trial.touch('there', { cookie: { path: '/touched' }, n: 2 }))
    ignore(trial.touch('missing', { cookie: {} }))
    const kept = Object.entries(sessions).join()
    ignore(trial.destroy('there'))
    return kept === 'there,{"cookie":{"path":"/touched"},"n":1}' && Object.keys(sessions).length === 0
  } catch {
    return false
  }
}

/** An async method fails later: on an object without all else that its class has it may, and that is nobody's. */
function ignore(result: unknown): void {
  Promise.resolve(result).catch(() => undefined)
}
