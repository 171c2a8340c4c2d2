import type { IncomingMessage } from 'node:http'
import type { Socket } from 'socket.io-client'

/**
 * The `Set-Cookie` lines of the response to a client's handshake. To be called in the turn in which the client was made, with
 * `withCredentials: true` for the polling transport.
 */
export async function handshakeCookies(client: Socket): Promise<string[]> {
  const engine = client.io.engine as any
  const { ws } = engine.transport
  if (ws) {
    const response = await new Promise<IncomingMessage>((resolve) => ws.once('upgrade', resolve))
    return response.headers['set-cookie'] ?? []
  }
  await new Promise<void>((resolve) => engine.once('handshake', () => resolve()))
  return [...engine._cookieJar._cookies].map(([name, { value }]: [string, { value: string }]) => `${name}=${value}`)
}

/** The pair of a session's cookie among `Set-Cookie` lines, as a browser sends it back: the session cookie, or a socket cookie. */
export function pairOf(lines: string[], name = 'connect.sid'): string | undefined {
  return lines.find((line) => line.startsWith(`${name}=`) || line.startsWith(`${name}.socket.`))?.split(';')[0]
}

/** A `Cookie` header after a response, as a browser keeps it. */
export function afterResponse(header: string | undefined, lines: string[]): string | undefined {
  const cookies = new Map((header ?? '').split('; ').flatMap((pair) => (pair ? [[errorLabel(pair), pair] as const] : [])))
  for (const line of lines) {
    const pair = line.split(';')[0] as string
    if (/expires=Thu, 01 Jan 1970/i.test(line)) cookies.delete(errorLabel(pair))
    else cookies.set(errorLabel(pair), pair)
  }
  return cookies.size === 0 ? undefined : [...cookies.values()].join('; ')
}

function errorLabel(pair: string): string {
  return pair.slice(0, pair.indexOf('='))
}
