import type { Container } from './json.js'

/** What a proxy stands for. */
export interface ProxyInfo {
  readonly raw: Container
  /** The face it was handed out by. */
  readonly view: object
  /** The state of the ledger it belongs to. */
  readonly state: object
}

const origins = new WeakMap<object, ProxyInfo>()

export const registerProxy = (proxy: object, origin: ProxyInfo): void => void origins.set(proxy, origin)

/** `undefined` for whatever is not a proxy of any ledger. */
export const proxyInfo = (value: object): ProxyInfo | undefined => origins.get(value)
