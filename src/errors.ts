/**
 * The codes of {@link SharedSessionError}. The API page has a table that says what each one means and what to do: a new code is added
 * here and there, and the methods that throw it name it with `@throws`.
 */
export type SharedSessionErrorCode =
  | 'BAD_ARGUMENT'
  | 'BAD_OPTION'
  | 'NO_STORE'
  | 'NO_SESSION'
  | 'COOKIE_PATH'
  | 'STORE_FAILED'
  | 'STORE_TIMEOUT'
  | 'SAVE_FAILED'
  | 'OUTCOME_UNKNOWN'
  | 'NOT_STORABLE'
  | 'RESERVED_KEY'
  | 'MERGE_FAILED'
  | 'TOO_LARGE'
  | 'SESSION_ENDED'
  | 'SESSION_NOT_FOUND'
  | 'REGENERATE_NEEDS_HTTP'
  | 'ORIGIN_REFUSED'
  | 'LISTENER_FAILED'
  | 'LISTENER_LOOP'
  | 'NOT_PUBLISHED'
  | 'PUBLISH_FAILED'
  | 'TOO_LARGE_TO_PUBLISH'
  | 'RENEWAL_NEEDED'
  | 'CLOSED'

/**
 * The class of errors that this package throws, rejects with and emits. `code` is stable and meant for programs. The message says what
 * happened and what to do, without session ids or secrets. `cause` is what a dependency reported, if it did.
 *
 * Other errors: `update()` rejects with what its recipe threw. A live session throws a `TypeError` where express-session's own does. A client
 * that is refused gets a plain `Error` with `data.code`, because Socket.IO sends nothing else of an error.
 */
export class SharedSessionError extends Error {
  override readonly name = 'SharedSessionError'
  readonly code: SharedSessionErrorCode

  constructor(code: SharedSessionErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

export function badArgument(message: string): never {
  throw new SharedSessionError('BAD_ARGUMENT', message)
}

/**
 * @param name of the option
 * @param wanted what it takes
 * @throws `BAD_OPTION`
 */
export function badOption(name: string, wanted: string, value: unknown): never {
  throw new SharedSessionError('BAD_OPTION', `The option ${name} takes ${wanted}; it was given ${shown(value)}.`)
}

/** Without what may be secret: a connection URL in the wrong place has a password, before its `@` or after a `=`. */
function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value.replace(/^.*@/s, '…@').replace(/=.*/s, '=…')}'`
  if (typeof value === 'function') return 'a function'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}
