import type { Container } from './json.js'

/** What a proxy stands for. */
export interface ProxyInfo {
  /** The container of the live tree behind it. */
  readonly raw: Container
  /** The `DocumentView` that made it. */
  readonly view: object
  /** The `DocumentState` of its document. */
  readonly state: object
}

const proxies = new WeakMap<object, ProxyInfo>()

export const registerProxy = (proxy: object, info: ProxyInfo): void => void proxies.set(proxy, info)

/** @returns `undefined` for whatever is not a proxy of a tracked document */
export const proxyInfoOf = (value: object): ProxyInfo | undefined => proxies.get(value)
