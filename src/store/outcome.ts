import { SharedSessionError } from '../errors.js'

/** @param more what comes of it */
export function unknownOutcome(more: string, cause?: unknown): SharedSessionError {
  return new SharedSessionError(
    'OUTCOME_UNKNOWN',
    `The session store did not tell how a write ended: it may or may not have happened. ${more}`,
    cause === undefined ? undefined : { cause },
  )
}
