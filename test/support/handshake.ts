import { format } from 'node:util'
import createDebug from 'debug'
import type { Namespace } from 'socket.io'
import type { Socket as Client } from 'socket.io-client'
import { next } from './wait.js'

export { sidOf } from './sid.js'

export type Refusal = Error & { data?: { code?: string } }

/** The `connect_error` that a client gets. Rejects if it is let in. */
export function refused(client: Client): Promise<Refusal> {
  const error = next<Refusal>(client, 'connect_error')
  const connected = next(client, 'connect').then(() => {
    throw new Error('the client was let in')
  })
  return Promise.race([error, connected])
}

/** Resolves when a client has lost its connection before it was let in, and may come back by itself. Rejects if it is refused or let in. */
export async function turnedAway(client: Client): Promise<void> {
  const lost = next(client, 'disconnect')
  await Promise.race([lost, refused(client).then((error) => Promise.reject(error))])
}

/** Resolves when the client is let in; rejects with its `connect_error`. */
export async function letIn(client: Client): Promise<Client> {
  if (client.connected) return client
  const error = next<Refusal>(client, 'connect_error').then((cause) => {
    throw cause
  })
  await Promise.race([next(client, 'connect'), error])
  return client
}

/** Has every handshake come to its end? socket.io before 4.7 does not keep them, and has none to wait for. */
export function isNobodyConnecting(namespace: Namespace): boolean {
  const { _preConnectSockets: connecting } = namespace as unknown as { _preConnectSockets?: Map<string, unknown> }
  return (connecting?.size ?? 0) === 0
}

/** Collects the package's debug output until `stop()`. */
export function captureDebug(): { lines: string[]; stop(): void } {
  const lines: string[] = []
  const { log } = createDebug
  const before = createDebug.disable()
  createDebug.enable('sharedsession*')
  createDebug.log = (...args: unknown[]) => void lines.push(format(...args))
  return {
    lines,
    stop() {
      createDebug.enable(before)
      createDebug.log = log
    },
  }
}
