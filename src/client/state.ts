import type { MirrorPatch } from './protocol.js'

declare const process: { env: { NODE_ENV?: string } }

/** A copy of JSON that may be changed. */
export const copy = <T>(state: T): T => JSON.parse(JSON.stringify(state))

/**
 * Makes a copy a part of the state. What is equal to what is held in the same place becomes the held object, so that it keeps its identity;
 * or that of `before`, where it differs from what is held. Its keys have to be in the same order. A key `__proto__` is dropped, because code
 * that copies the state key by key would set a prototype by it. All are any JSON.
 */
export function adopt<T>(next: any, held?: any, before?: any): T {
  if (next !== Object(next)) return next
  for (const key of Object.keys(next)) {
    if (key === '__proto__') delete next[key]
    else next[key] = adopt(next[key], held?.[key], before?.[key])
  }
  if (JSON.stringify(next) === JSON.stringify(held)) return held
  if (JSON.stringify(next) === JSON.stringify(before)) return before
  // Bundlers replace `process.env.NODE_ENV`, and leave nothing of this in production. In a page without a bundler there is no `process`.
  try {
    if (process.env.NODE_ENV !== 'production') Object.freeze(next)
  } catch {}
  return next
}

/**
 * The next state that a frame brings.
 * @param shown the held state with guesses. A part that was guessed right keeps its identity, if its keys have the server's order
 * @throws if a patch does not fit what is held, or the state is no object
 */
export function nextState<T>(held: T, shown: T, full: unknown, patches: unknown): T {
  // Copies, as two mirrors of one socket get the same frame.
  const root = copy([full || held, patches || []]) as [unknown, MirrorPatch[]]
  // Only own keys: nothing that is inherited is ever reached. What has no such key cannot be written to either.
  const at = (parent: any, key: string | number) => Object.hasOwn(parent, key) && parent[key]
  for (const [path, ...change] of root[1]) {
    const keys = [0, ...path]
    if (change.length > 1) keys.reduce(at, root).splice(...change.flat())
    else {
      const key = keys.pop() as number
      const parent = keys.reduce(at, root)
      if (Array.isArray(parent) ? !(key <= parent.length) : (key as unknown) === '__proto__') throw key
      if (change.length) parent[key] = change[0]
      else delete parent[key]
    }
  }
  if (root[0] !== Object(root[0])) throw root
  return adopt<T>(root[0], shown)
}
