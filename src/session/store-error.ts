import { SharedSessionError } from '../errors.js'

/** What a caller is told of an error of the store. @param what was to be done, as in "could not be read" */
export function storeError(what: string, cause: unknown): SharedSessionError {
  if (cause instanceof SharedSessionError) return cause
  return new SharedSessionError('STORE_FAILED', `The session could not be ${what}: the session store reported an error.`, {
    cause,
  })
}
