import { isObject } from '../document/json.js'
import type { Patch } from '../document/patch.js'

/** The format this process writes, and the only one it believes. */
const FORMAT = 1
/** What a change may be made of. One that is more makes the others read the session. */
const MOST_PATCHES = 1000
/** How deep a value may nest, and how long a path may be. */
const DEEPEST = 100
const MOST_ATTRIBUTES = 20
const LONGEST_ATTRIBUTE = 4096
/** Ids of commits and of processes. */
const ID = /^[\w-]{1,40}$/

/** A state of a session: how many commits led to it, and the last of them. */
export interface Revision {
  v: number
  id: string
}

/** What a commit made of the session. */
export interface Change {
  patches: Patch[]
  /** The session's cookie as the store keeps it. */
  cookie: Record<string, unknown>
}

/** What one process tells the others of a session. */
export type Message =
  /** `from`: absent where the commit began with what is not numbered; `change`: absent where the session has to be read */
  | { kind: 'commit'; from?: Revision | undefined; to: Revision; change?: Change | undefined }
  /** `answered`: a message of that kind follows when the response has left that takes the client its new cookie */
  | { kind: 'end'; reason: 'destroyed' | 'regenerated'; answered?: boolean | undefined }
  | { kind: 'answered' }

/** What was heard: a message of that process, or something that says no more than that the session should be read. */
export type Received = Message & { node: string }

/**
 * A message as text.
 * @param node of this process
 * @param maxBytes what the bus carries: a change that makes it longer is left out, for the others to read the session
 */
export function encodeMessage(message: Message, node: string, maxBytes = Number.POSITIVE_INFINITY): string {
  if (message.kind !== 'commit' || !message.change) return JSON.stringify({ sharedsession: FORMAT, node, ...message })
  if (message.change.patches.length <= MOST_PATCHES) {
    const text = JSON.stringify({ sharedsession: FORMAT, node, ...message })
    if (Buffer.byteLength(text) <= maxBytes) return text
  }
  return encodeMessage({ ...message, change: undefined }, node)
}

/** Is this a text that `textOf` has made for this process? Without taking it apart: every message comes back to its sender. */
export function isFromSelf(text: string, node: string): boolean {
  return text.startsWith(`{"sharedsession":${FORMAT},"node":"${node}"`)
}

/**
 * What a text says, as far as it is to be believed.
 * @param maxBytes what is longer is not looked at
 * @returns `undefined` for a text of an unknown format or shape
 */
export function decodeMessage(text: string, maxBytes: number): Received | undefined {
  // Longer in bytes than in characters at most, and never shorter.
  if (text.length > maxBytes || Buffer.byteLength(text) > maxBytes || namesPrototype(text)) return undefined
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isDict(parsed) || parsed.sharedsession !== FORMAT || !isId(parsed.node)) return undefined
  const { node } = parsed
  const message = toMessage(parsed)
  return message && { ...message, node }
}

function toMessage(parsed: Record<string, unknown>): Message | undefined {
  switch (parsed.kind) {
    case 'commit':
      return toCommit(parsed)
    case 'end': {
      const { reason, answered } = parsed
      if (reason !== 'destroyed' && reason !== 'regenerated') return undefined
      return { kind: 'end', reason, answered: answered === true }
    }
    case 'answered':
      return { kind: 'answered' }
    default:
      return undefined
  }
}

function toCommit({ from, to, change }: Record<string, unknown>): Message | undefined {
  if (!isVersion(to) || (from !== undefined && !isVersion(from))) return undefined
  if (change !== undefined && !isChange(change)) return undefined
  return { kind: 'commit', from, to, change }
}

function isChange(value: unknown): value is Change {
  if (!isDict(value) || !isDict(value.cookie) || !Array.isArray(value.patches)) return false
  const { cookie, patches } = value
  return isCookie(cookie) && patches.length <= MOST_PATCHES && patches.every(isPatch)
}

function isCookie(cookie: Record<string, unknown>): boolean {
  const { expires, originalMaxAge } = cookie
  const ends = expires === undefined || expires === null || (typeof expires === 'string' && !Number.isNaN(Date.parse(expires)))
  const attributes = Object.values(cookie)
  return (
    ends &&
    (originalMaxAge === undefined || originalMaxAge === null || Number.isFinite(originalMaxAge)) &&
    attributes.length <= MOST_ATTRIBUTES &&
    attributes.every((value) => !isObject(value) && String(value).length <= LONGEST_ATTRIBUTE)
  )
}

function isPatch(value: unknown): value is Patch {
  if (!isDict(value) || !Array.isArray(value.path) || value.path.length === 0 || value.path.length > DEEPEST) return false
  const { op, path } = value
  if (op !== 'remove' && ((op !== 'add' && op !== 'replace') || value.value === undefined)) return false
  // The cookie is not the application's data, and its record is not the sender's to set.
  return typeof path[0] === 'string' && path[0] !== 'cookie' && path.every(isKey) && isShallow(value.value)
}

/** Level by level: whatever goes down into it may run out of stack. */
function isShallow(value: unknown): boolean {
  let level = [value].filter(isObject)
  for (let depth = 0; level.length > 0; depth++) {
    if (depth >= DEEPEST) return false
    level = level.flatMap((each) => Object.values(each)).filter(isObject)
  }
  return true
}

function isKey(key: unknown): boolean {
  return typeof key === 'string' || (Number.isSafeInteger(key) && (key as number) >= 0)
}

function isVersion(value: unknown): value is Revision {
  return isDict(value) && Number.isSafeInteger(value.v) && (value.v as number) > 0 && isId(value.id)
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && ID.test(value)
}

function isDict(value: unknown): value is Record<string, unknown> {
  return isObject(value) && !Array.isArray(value)
}

/** `JSON.parse` makes `__proto__` an own property, which a copy by assignment turns into a prototype. Escaped it is as bad. */
function namesPrototype(text: string): boolean {
  return /__proto__|\\u005f/i.test(text)
}
