import { IndeterminateWriteError } from '../store-driver.js'
import type { Item } from './table.js'

/** What is read of an error of the client, which may be of any version. */
interface ClientError {
  name?: unknown
  $metadata?: { httpStatusCode?: unknown; attempts?: unknown }
  Item?: Item
}

/** The condition of a statement was not met. @returns what was there instead, where the server tells */
export function refusal(error: unknown): { item: Item | undefined } | undefined {
  const { name, Item: item } = (error ?? {}) as ClientError
  return name === 'ConditionalCheckFailedException' ? { item } : undefined
}

/** Has the client sent it more than once? Then an answer to the last time tells nothing about the first. */
export function wasResent(error: unknown): boolean {
  const { attempts } = (error as ClientError | null)?.$metadata ?? {}
  return typeof attempts === 'number' && attempts > 1
}

/** The error of a write, as a driver throws it. */
export function writeError(error: unknown): unknown {
  const { name, $metadata } = (error ?? {}) as ClientError
  const status = Number($metadata?.httpStatusCode)
  const isRefused = status >= 400 && status < 500 && !wasResent(error)
  return isRefused || name === 'CredentialsProviderError' ? error : new IndeterminateWriteError(error)
}
