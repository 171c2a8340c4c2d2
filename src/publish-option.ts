import type { JsonObject } from './document/json.js'
import { parsePath } from './document/merge-strategy.js'
import { badOption } from './errors.js'

/** The option `publish`, ready for use. */
export interface Publish {
  /** Returns what is published, which is not checked yet. @param session the caller's own to change */
  readonly run: (session: JsonObject, socket: unknown) => unknown
  /** Does it run once per socket? */
  readonly perSocket: boolean
}

const WANTED = "a function, or a list of paths like ['user.name', 'cart']"

/** Names of what must not leave the server, in any segment of a path. A function may publish even these: somebody has written it by hand. */
const SECRET = /^(?:cookie|passport)$|csrf|token|secret|password/i

/** @throws `BAD_OPTION` */
export function readPublish(value: unknown, name: string): Publish | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'function') return { run: value as Publish['run'], perSocket: value.length >= 2 }
  if (!Array.isArray(value)) badOption(name, WANTED, value)
  const paths = value.map((path) => keysOf(path, name))
  return { run: (session) => pick(session, paths), perSocket: false }
}

function keysOf(path: unknown, name: string): readonly string[] {
  const keys = typeof path === 'string' ? parsePath(path) : undefined
  if (!keys?.every((key) => typeof key === 'string')) badOption(name, WANTED, path)
  const secret = keys.find((key) => SECRET.test(key))
  if (secret !== undefined)
    badOption(name, `no path with '${secret}', which seems to be a secret (a function can return it all the same)`, path)
  if (keys.includes('__proto__')) badOption(name, WANTED, path)
  return keys
}

/** What the session has at these paths. */
function pick(session: JsonObject, paths: readonly (readonly string[])[]): JsonObject {
  const picked: JsonObject = {}
  // The shorter ones first: what they pick has the values of the longer ones already.
  for (const path of [...paths].sort((a, b) => a.length - b.length)) copyPath(session, picked, path)
  return picked
}

function copyPath(from: JsonObject, to: JsonObject, path: readonly string[]): void {
  const parents = path.slice(0, -1)
  const leaf = path.at(-1) as string
  let source: unknown = from
  for (const key of parents) source = ownValue(source, key)
  const value = ownValue(source, leaf)
  if (value === undefined) return
  let target = to
  for (const key of parents) {
    // The same object, where a shorter path has picked it.
    if (!Object.hasOwn(target, key)) target[key] = {}
    target = target[key] as JsonObject
  }
  target[leaf] = value as JsonObject
}

/** Arrays have no paths below them. */
function ownValue(holder: unknown, key: string): unknown {
  if (typeof holder !== 'object' || holder === null || Array.isArray(holder) || !Object.hasOwn(holder, key)) return undefined
  return (holder as Record<string, unknown>)[key]
}
