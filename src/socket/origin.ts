import type { IncomingMessage } from 'node:http'
import type { Socket } from 'socket.io'
import { SharedSessionError } from '../errors.js'
import { settledWithin } from '../store/operation.js'

type Answer<T> = (error: unknown, answer?: T) => void
type CorsOrigin = string | RegExp | boolean | readonly unknown[] | ((origin: string, answer: Answer<unknown>) => void)
interface Cors {
  credentials?: boolean
  origin?: CorsOrigin
}

/**
 * Refuses a page of another host that uses the visitor's session cookie: browsers send it along with a WebSocket's handshake, and
 * `cors` does not apply there.
 * @param timeout ms that the application's own `cors` functions may take
 * @returns an `ORIGIN_REFUSED` that says what was compared, for a request that carries the session cookie; `undefined` for none
 */
export async function originProblem(
  socket: Socket,
  allowed: readonly (string | RegExp)[] | undefined,
  timeout: number,
): Promise<SharedSessionError | undefined> {
  const { headers } = socket.client.request
  const origin = originOf(socket)
  if (origin === undefined) return undefined
  const hosts = [headers['x-forwarded-host'], headers.host].map((value) => hostName(first(value)))
  const asked = hostName(origin)
  if (asked !== undefined && hosts.includes(asked)) return undefined
  if (
    allowed ? allowed.includes('*') || allowed.some((entry) => matches(entry, origin)) : await corsAllows(socket, origin, timeout)
  ) {
    return undefined
  }
  return new SharedSessionError(
    'ORIGIN_REFUSED',
    `The page's origin (${asked ?? origin}) is not this server's host (${hosts.filter(Boolean).join(', ') || 'unknown'}) and is not allowed to use its sessions. ` +
      'If it is yours, name it in the option allowedOrigins.',
  )
}

/**
 * Where the page is from; `undefined` for what is not a browser, or the own page. Browsers send no Origin for a script element, and its
 * page can read what engine.io answers to one (JSONP): there it is what they say otherwise, or `null` where that is not enough.
 */
function originOf({ client, handshake }: Socket): string | undefined {
  const { origin, referer, 'sec-fetch-site': site } = client.request.headers
  if (origin !== undefined) return origin
  const isForeign = site === 'cross-site' || site === 'same-site'
  if (!isForeign && (site !== undefined || handshake.query.j === undefined)) return undefined
  return read(referer)?.origin ?? 'null'
}

/** An origin is meant with its scheme and port; a host's name for every port of it. */
function matches(allowed: string | RegExp, origin: string): boolean {
  // `search` starts at the beginning each time; `test` does not, for a global expression.
  if (typeof allowed !== 'string') return origin.search(allowed) >= 0
  const wanted = read(allowed)
  const given = read(origin)
  if (!wanted || !given || wanted.hostname !== given.hostname) return false
  return !allowed.includes('://') || (wanted.protocol === given.protocol && wanted.port === given.port)
}

/** Does socket.io itself let the origin in with credentials? Failing or unanswered, no. */
async function corsAllows(socket: Socket, origin: string, timeout: number): Promise<boolean> {
  let allows = false
  const asked = async (): Promise<void> => {
    const { opts } = socket.nsp.server.engine as unknown as {
      opts: { cors?: Cors | ((request: object, answer: Answer<Cors>) => void) }
    }
    const { cors } = opts
    const { credentials, origin: listed } =
      (typeof cors === 'function' ? await answer<Cors>((done) => cors(socket.request, done)) : cors) ?? {}
    if (!credentials) return
    const given = typeof listed === 'function' ? await answer<unknown>((done) => listed(origin, done)) : listed
    // As the cors package has it: a list's entries are compared as they are, and '*' does not go with credentials.
    allows =
      given === true || [given].flat().some((entry) => (entry instanceof RegExp ? origin.search(entry) >= 0 : entry === origin))
  }
  await settledWithin(asked(), timeout)
  return allows
}

function answer<T>(ask: (done: Answer<T>) => void): Promise<T | undefined> {
  return new Promise((resolve, reject) => ask((error, value) => (error ? reject(error) : resolve(value))))
}

/** The host's name in lower case without its port, of an origin or a Host header. */
function hostName(value: string | undefined): string | undefined {
  return read(value)?.hostname || undefined
}

function read(value: string | undefined): URL | undefined {
  // `null` is what a sandboxed frame sends, and no host.
  if (!value || value === 'null') return undefined
  const url = value.includes('://') ? value : `http://${value}`
  return URL.canParse(url) ? new URL(url) : undefined
}

function first(header: IncomingMessage['headers'][string]): string | undefined {
  return String(header ?? '')
    .split(',')[0]
    ?.trim()
}
