import type { MirrorPatch } from './protocol.js'

declare const process: { env: { NODE_ENV?: string } }

/** A copy of JSON that may be changed. */
export const copy = <T>(state: T): T => JSON.parse(JSON.stringify(state))

/** A part of JSON, or false. What is inherited is never reached. */
const own = (parent: any, key: string | number) => Object.hasOwn(Object(parent), key) && parent[key]

/**
 * Makes a part of the state of any JSON, with its keys in order. What is equal to what is held in the same place is the held object, so that it
 * keeps its identity. A key `__proto__` is dropped, because code that copies the state key by key would set a prototype by it.
 */
export function adopt<T>(json: any, held?: any): T {
  if (json !== Object(json) || json === held) return json
  const part: any = Array.isArray(json) ? [] : {}
  for (const key of Object.keys(json).sort()) if (key !== '__proto__') part[key] = adopt(json[key], own(held, key))
  if (JSON.stringify(part) === JSON.stringify(held)) return held
  // Bundlers replace `process.env.NODE_ENV`, and leave nothing of this in production. In a page without a bundler there is no `process`.
  try {
    if (process.env.NODE_ENV !== 'production') Object.freeze(part)
  } catch {}
  return part
}

/**
 * The next state that a frame brings.
 * @throws if a patch does not fit what is held, or the state is no object
 */
export function nextState<T>(held: T, full: unknown, patches: unknown): T {
  // Copies, as two mirrors of one socket get the same frame.
  const root = copy([full || held, patches || []]) as [unknown, MirrorPatch[]]
  for (const [path, ...change] of root[1]) {
    const keys = [0, ...path]
    if (change.length > 1) keys.reduce(own, root).splice(...change.flat())
    else {
      const key = keys.pop() as number
      const parent = keys.reduce(own, root)
      if (Array.isArray(parent) ? !(key <= parent.length) : (key as unknown) === '__proto__') throw key
      // False cannot be written to.
      if (change.length) parent[key] = change[0]
      else delete parent[key]
    }
  }
  if (root[0] !== Object(root[0])) throw root
  return adopt<T>(root[0])
}
