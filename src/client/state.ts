import type { MirrorPatch } from './protocol.js'

type Container = Record<string | number, unknown>

declare const process: { env: { NODE_ENV?: string } }

const { keys, hasOwn } = Object

let freeze = <T>(value: T): T => value
// Bundlers replace `process.env.NODE_ENV`. In a page without a bundler there is no `process`.
try {
  if (process.env.NODE_ENV !== 'production') freeze = Object.freeze
} catch {}

/** A copy of JSON that may be changed. */
export const copy = <T>(state: T): T => JSON.parse(JSON.stringify(state))

const isObject = (value: unknown): value is Container => typeof value === 'object' && value !== null

/**
 * Makes a copy a part of the state. What is equal to what is held becomes the held object, so that it keeps its identity. A key
 * `__proto__` is dropped, because code that copies the state key by key would set a prototype by it.
 */
export function adopt<T>(next: T, held?: any): T {
  if (!isObject(next)) return next
  const target: Container = next
  let same = isObject(held) && Array.isArray(held) === Array.isArray(next) && keys(held).length === keys(next).length
  for (const key of keys(next)) {
    target[key] = adopt(target[key], held?.[key])
    if (target[key] !== held?.[key]) same = false
    if (key === '__proto__') delete target[key]
  }
  return same ? held : freeze(next)
}

/**
 * The next state that a frame brings.
 * @throws if a patch does not fit what is held, or the state is no object
 */
export function nextState<T>(held: T | undefined, full: unknown, patches: MirrorPatch[]): T {
  const root: Container = { state: full ?? copy(held) }
  // Only own keys: nothing that is inherited is ever reached.
  const at = (parent: Container, key: string | number) => {
    if (!hasOwn(parent, key)) throw key
    return parent[key] as Container & unknown[]
  }
  for (const [path, ...change] of patches) {
    let parent = root
    let key: string | number = 'state'
    for (const step of path) {
      parent = at(parent, key)
      key = step
    }
    if (change.length > 1) at(parent, key).splice(...(change.flat() as [number, number]))
    else if (key === '__proto__' || (Array.isArray(parent) && !((key as number) <= parent.length))) throw key
    else if (change.length) parent[key] = change[0]
    else delete parent[key]
  }
  if (!isObject(root.state)) throw root
  return adopt(root.state, held) as T
}
