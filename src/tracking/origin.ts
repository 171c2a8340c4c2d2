import type { Box } from './json.js'

/** What a proxy stands for. */
export interface Origin {
  readonly raw: Box
  /** The face it was handed out by. */
  readonly face: object
  /** The state of the ledger it belongs to. */
  readonly state: object
}

const origins = new WeakMap<object, Origin>()

export const register = (proxy: object, origin: Origin): void => void origins.set(proxy, origin)

/** `undefined` for whatever is not a proxy of any ledger. */
export const originOf = (value: object): Origin | undefined => origins.get(value)
