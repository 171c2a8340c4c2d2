import { SharedSessionError, type SharedSessionErrorCode } from '../errors.js'
import type { Path } from './json.js'

/** `['cart', 'items', 2, 'first name']` as `cart.items[2]["first name"]`. */
export function formatPath(path: Path): string {
  let text = ''
  // A path into endless nesting would be as long as a book.
  for (const key of path.slice(0, 20)) {
    if (typeof key === 'number') text += `[${key}]`
    else if (/^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key)) text += text === '' ? key : `.${key}`
    else text += `[${JSON.stringify(key)}]`
  }
  if (path.length > 20) text += '...'
  return text === '' ? 'the session' : text
}

/** Why a value cannot be stored, and where in the value: {@link toNotStorable} makes the error of it that users see. */
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
 * @param holder where the value was to go
 * @param at where in the value, unless the error says it
 */
export function toNotStorable(error: unknown, holder: Path, at: Path): SharedSessionError {
  if (error instanceof SharedSessionError) return error
  if (error instanceof NotJsonError) {
    return new SharedSessionError(error.code, `${formatPath([...holder, ...error.path])}: ${error.reason}`)
  }
  if (error instanceof RangeError) return notStorable([...holder, ...at], 'nested too deep to be read; keep it flatter', error)
  return notStorable([...holder, ...at], 'reading it threw an error (see cause)', error)
}

/** `NOT_STORABLE`: `reason` says what is wrong at `path` and what to do instead. */
export function notStorable(path: Path, reason: string, cause?: unknown): SharedSessionError {
  return new SharedSessionError('NOT_STORABLE', `${formatPath(path)}: ${reason}`, cause === undefined ? undefined : { cause })
}

/** `RESERVED_KEY`: a name that cannot hold session data. */
export const reservedKey = (path: Path): NotJsonError =>
  new NotJsonError(path, 'this name is reserved, use another one', 'RESERVED_KEY')

/** `TOO_LARGE`: an array with more holes than a session may have bytes. */
export const tooSparse = (path: Path): NotJsonError =>
  new NotJsonError(path, 'an array with so many empty places would be larger than maxBytes; use an object', 'TOO_LARGE')

/** The error for a write that was not made. Its cause has the stack of the write, and what was thrown by the value, if anything. */
export function writeRefused(error: SharedSessionError): SharedSessionError {
  const cause = new Error('The write that was not made was here.', error.cause === undefined ? undefined : { cause: error.cause })
  return new SharedSessionError(error.code, `${error.message}. The write was not made.`, { cause })
}
