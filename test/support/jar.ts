import type { IncomingMessage } from 'node:http'
import type { TestClient } from './app.js'

/**
 * The `Set-Cookie` lines of the response to a client's handshake. To be called in the turn in which the client was made, with
 * `withCredentials: true` for the polling transport.
 */
export async function handshakeCookies(client: TestClient): Promise<string[]> {
  const engine = client.io.engine as any
  const { ws } = engine.transport
  if (ws) {
    const response = await new Promise<IncomingMessage>((resolve) => ws.once('upgrade', resolve))
    return response.headers['set-cookie'] ?? []
  }
  await new Promise<void>((resolve) => engine.once('handshake', () => resolve()))
  return [...engine._cookieJar._cookies].map(([name, { value }]: [string, { value: string }]) => `${name}=${value}`)
}

/** The pair of a cookie among `Set-Cookie` lines, as a browser sends it back. */
export function pairOf(lines: string[], name = 'connect.sid'): string | undefined {
  return lines.find((line) => line.startsWith(`${name}=`))?.split(';')[0]
}
