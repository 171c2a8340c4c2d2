import { SharedSessionError, type SharedSessionErrorCode } from '../errors.js'
import type { Path } from './json.js'

/** How many keys of a path a message names, and how much of each: clients may choose the keys. */
const MOST_KEYS = 20
const LONGEST_KEY = 50

/** `['cart', 'items', 2, 'first name']` as `cart.items[2]["first name"]`. */
export function formatPath(path: Path): string {
  let text = ''
  for (const key of path.slice(0, MOST_KEYS)) {
    if (typeof key === 'number') text += `[${key}]`
    else if (key.length > LONGEST_KEY) text += `[${JSON.stringify(`${key.slice(0, LONGEST_KEY)}...`)}]`
    else if (/^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key)) text += text === '' ? key : `.${key}`
    else text += `[${JSON.stringify(key)}]`
  }
  if (path.length > MOST_KEYS) text += '...'
  return text === '' ? 'the session' : text
}

/** The reason why a value cannot be stored, and the path within the value. {@link toNotStorable} makes the error for the user of it. */
export class NotJsonError extends Error {
  readonly path: Path

  constructor(
    path: Path,
    readonly reason: string,
    readonly code: SharedSessionErrorCode = 'NOT_STORABLE',
  ) {
    super(reason)
    this.path = [...path]
  }
}

/**
 * The error for anything that was thrown while a value was read: `NOT_STORABLE`, or the code of a {@link NotJsonError}.
 *
 * @param holder path of the container that the value was written to
 * @param at path of the offending part within the holder; a {@link NotJsonError} has its own
 */
export function toNotStorable(error: unknown, holder: Path, at: Path): SharedSessionError {
  if (error instanceof SharedSessionError) return error
  if (error instanceof NotJsonError) {
    return new SharedSessionError(error.code, `${formatPath([...holder, ...error.path])}: ${error.reason}`)
  }
  if (error instanceof RangeError) return notStorable([...holder, ...at], 'nested too deep to be read; keep it flatter', error)
  return notStorable([...holder, ...at], 'reading it threw an error (see cause)', error)
}

/** The error `NOT_STORABLE`. @param reason what is wrong at `path`, and what to do instead */
export function notStorable(path: Path, reason: string, cause?: unknown): SharedSessionError {
  return new SharedSessionError('NOT_STORABLE', `${formatPath(path)}: ${reason}`, cause === undefined ? undefined : { cause })
}

/** The error `RESERVED_KEY`: this name cannot hold session data. */
export const reservedKey = (path: Path): NotJsonError =>
  new NotJsonError(path, 'this name is reserved, use another one', 'RESERVED_KEY')

/** The error `TOO_LARGE`: the JSON of an array with so many holes would be larger than a session may be. */
export const tooSparse = (path: Path): NotJsonError =>
  new NotJsonError(path, 'an array with so many empty places would be larger than maxBytes; use an object', 'TOO_LARGE')

/** The error `TOO_LARGE`: a session that could not be saved must not grow without end. */
export const noRoom = (path: Path): NotJsonError =>
  new NotJsonError(
    path,
    'the session could not be saved and would be larger than twice maxBytes; remove something first',
    'TOO_LARGE',
  )

/** The error for a write that was not made. Its cause has the stack of the write; the cause of that is what the value threw, if anything. */
export function writeRefused(error: SharedSessionError): SharedSessionError {
  const cause = new Error('The write that was not made was here.', error.cause === undefined ? undefined : { cause: error.cause })
  return new SharedSessionError(error.code, `${error.message}. The write was not made.`, { cause })
}
