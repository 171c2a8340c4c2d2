import type { Tag } from '../../client/protocol.js'
import type { JsonObject } from '../../document/json.js'
import { SharedSessionError } from '../../errors.js'
import type { Publish } from '../../publish-option.js'
import { digest } from '../../util/hash.js'
import { isThenable } from '../../util/promises.js'

/** What the option `publish` makes of a session. */
export interface Projection {
  /** JSON with sorted keys, so that equal states have equal texts. */
  readonly text: string
  readonly tag: Tag
}

/**
 * Calls the option `publish`.
 * @param session the callee's own to change
 * @param maxBytes of the JSON
 * @throws `PUBLISH_FAILED`, `TOO_LARGE_TO_PUBLISH`
 */
export function project({ run }: Publish, maxBytes: number, session: JsonObject, socket?: unknown): Projection {
  const text = textOf(() => run(session, socket))
  const bytes = Buffer.byteLength(text)
  if (bytes > maxBytes) {
    throw new SharedSessionError(
      'TOO_LARGE_TO_PUBLISH',
      `What the option publish returned takes ${bytes} bytes of JSON, and publishMaxBytes allows ${maxBytes}. Pages keep the state before. Publish less, or allow more.`,
    )
  }
  return { text, tag: digest('sha1', text, 'base64url').slice(0, 12) }
}

function textOf(publish: () => unknown): string {
  try {
    const state = publish()
    if (isThenable(state)) {
      // Its rejection would be unhandled.
      Promise.resolve(state).catch(() => undefined)
      throw failed('returned a promise: it must be synchronous')
    }
    const text: string | undefined = JSON.stringify(state, sortKeys)
    if (!text?.startsWith('{')) throw failed('returned no object')
    return text
  } catch (cause) {
    throw cause instanceof SharedSessionError && cause.code === 'PUBLISH_FAILED'
      ? cause
      : failed('threw an error (see cause)', cause)
  }
}

function failed(what: string, cause?: unknown): SharedSessionError {
  const message = `The option publish ${what}. Pages keep the state before; the next commit is published again.`
  return new SharedSessionError('PUBLISH_FAILED', message, cause === undefined ? undefined : { cause })
}

/** A replacer of `JSON.stringify`. No page gets a key `__proto__`: an assignment with it would change an object's prototype. */
function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const keys = Object.keys(value)
  const isSorted = keys.every((key, index) => key !== '__proto__' && (index === 0 || (keys[index - 1] as string) < key))
  if (isSorted) return value
  const fields = value as Record<string, unknown>
  const sorted = keys.filter((key) => key !== '__proto__').sort()
  return Object.fromEntries(sorted.map((key) => [key, fields[key]]))
}
