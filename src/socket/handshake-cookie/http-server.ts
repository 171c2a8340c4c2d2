import type { IncomingMessage, ServerResponse } from 'node:http'
import { debug } from '../../debug.js'

type Handle = (request: IncomingMessage, response?: ServerResponse) => void

/** An HTTP server, whatever made it. */
export interface HttpServer {
  prependListener(event: string, listener: Handle): unknown
  off(event: string, listener: Handle): unknown
  listeners(event: string): unknown[]
}

/**
 * Has each request of an HTTP server looked at before anybody else sees it, an upgrade too. May be asked for again: an engine that is
 * attached later puts itself before all listeners that are there.
 * @returns no longer
 */
export function lookAtRequests(server: HttpServer, handle: Handle): { first(): void; stop(): void } {
  let standing = true
  const listener: Handle = (request, response) => {
    if (!standing) return
    try {
      handle(request, response)
    } catch (cause) {
      debug('a request was not looked at: %s', (cause as Error | undefined)?.message)
    }
  }
  const onRequest: Handle = (request, response) => listener(request, response)
  const onUpgrade: Handle = (request) => listener(request)
  const each = [['request', onRequest] as const, ['upgrade', onUpgrade] as const]
  const stop = (): void => {
    for (const [event, handler] of each) server.off(event, handler)
  }
  const first = (): void => {
    for (const [event, handler] of each) {
      if (server.listeners(event)[0] === handler) continue
      server.off(event, handler)
      server.prependListener(event, handler)
    }
  }
  first()
  return {
    first,
    stop() {
      standing = false
      stop()
    },
  }
}
