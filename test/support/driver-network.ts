import type { DriverNetwork } from '../../src/driver-testing/index.js'
import type { TcpProxy } from './tcp-proxy.js'

/** Does this write, as it comes to the server? A statement that is prepared comes before. */
export const isWrite = (request: Buffer): boolean => request.includes('{"cookie"') || request.includes('{\\"cookie')

/** A proxy as the cases of sharedsession/driver/testing use it. @param isWrite is this a write, as it comes to the server? */
export function networkOf(proxy: TcpProxy, isWrite: (request: Buffer) => boolean): DriverNetwork {
  return {
    loseRequest: () => proxy.cut('request', isWrite),
    loseAnswer: () => proxy.cut('answer', isWrite),
    delayRequest: () => proxy.delay(isWrite),
    down: () => proxy.down(),
    up: () => proxy.up(),
  }
}
