import { SharedSessionError } from '../errors.js'

/** The error of a store that did not call back in time. @param what it was asked for, as in "a read" */
export function storeTimeout(what: string, ms: number): SharedSessionError {
  return new SharedSessionError(
    'STORE_TIMEOUT',
    `The session store did not answer ${what} within ${ms} ms. Look at the store's connection, or raise retry.timeout.`,
  )
}
