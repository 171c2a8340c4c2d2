import { isObject } from '../document/json.js'
import type { Patch } from '../document/patch.js'

/** The format this process writes, and the only one it believes. */
const FORMAT = 1
/** What a message may have beside its change, in bytes, generously. */
export const MAX_ENVELOPE = 4096
/** A change of more patches is left out, so that the other processes read the session. */
const MOST_PATCHES = 1000
/** How deep a value may nest, and how long a path may be. */
const DEEPEST = 100
const MOST_ATTRIBUTES = 20
const LONGEST_ATTRIBUTE = 4096
/** Ids of commits and of processes. */
const ID = /^[\w-]{1,40}$/

/** A revision of a session: how many commits led to it, and the id of the last one. */
export interface Revision {
  v: number
  id: string
}

/** What a commit changed. */
export interface WireChange {
  patches: Patch[]
  /** The session's cookie as the store keeps it. */
  cookie: Record<string, unknown>
}

/**
 * What one process publishes about a session. On the bus, a commit that set `cart.total` and appended a line:
 *
 *     {
 *       "sharedsession": 1,
 *       "node": "Tz3wV0q9mB2k",
 *       "kind": "commit",
 *       "from": { "v": 6, "id": "b4Xo2kQp9sLm" },
 *       "to": { "v": 7, "id": "Qe81hZr0TtYc" },
 *       "change": {
 *         "patches": [
 *           { "op": "replace", "path": ["cart", "total"], "value": 12 },
 *           { "op": "add", "path": ["cart", "lines", 1], "value": { "id": 5 } }
 *         ],
 *         "cookie": { "originalMaxAge": 3600000, "expires": "2026-01-01T13:00:00.000Z", "httpOnly": true, "path": "/" }
 *       }
 *     }
 */
export type Message =
  /** `from`: absent where the store's document had no history; `change`: absent where the session has to be read */
  | { kind: 'commit'; from?: Revision | undefined; to: Revision; change?: WireChange | undefined }
  /** `answered`: a message of that kind will follow, when the response with the client's new cookie has left */
  | { kind: 'end'; reason: 'destroyed' | 'regenerated'; answered?: boolean | undefined }
  | { kind: 'answered' }
  /** a handshake's cookie names the session, and the store has none: where it is live and was never stored, it is stored */
  | { kind: 'missing' }

export type CommitMessage = Message & { kind: 'commit' }

/** A message of another process. */
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

/** Did `encodeMessage` make this text in this process? Without parsing it: every message comes back to its sender. */
export function isFromSelf(text: string, node: string): boolean {
  return text.startsWith(`{"sharedsession":${FORMAT},"node":"${node}"`)
}

/**
 * Parses and checks a text from the bus: anybody may have published it.
 * @param maxBytes a longer text is not parsed
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
    case 'missing':
      return { kind: parsed.kind }
    default:
      return undefined
  }
}

function toCommit({ from, to, change }: Record<string, unknown>): Message | undefined {
  if (!isRevision(to) || (from !== undefined && !isRevision(from))) return undefined
  if (change !== undefined && !isChange(change)) return undefined
  return { kind: 'commit', from, to, change }
}

function isChange(value: unknown): value is WireChange {
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
  // The cookie is not the application's data, and the sender must not set the history in it.
  return typeof path[0] === 'string' && path[0] !== 'cookie' && path.every(isKey) && isShallow(value.value)
}

/** Level by level: recursion could run out of stack. */
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

function isRevision(value: unknown): value is Revision {
  return isDict(value) && Number.isSafeInteger(value.v) && (value.v as number) > 0 && isId(value.id)
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && ID.test(value)
}

function isDict(value: unknown): value is Record<string, unknown> {
  return isObject(value) && !Array.isArray(value)
}

/** `JSON.parse` makes `__proto__` an own property, which a copy by assignment turns into a prototype. The name may be escaped. */
function namesPrototype(text: string): boolean {
  return /__proto__|\\u005f/i.test(text)
}
