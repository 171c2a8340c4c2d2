import type { IncomingMessage } from 'node:http'
import { SharedSessionError } from '../errors.js'
import { settleWithin } from '../util/timeout.js'
import type { Engine } from './incoming-handshake.js'

type Answer<T> = (error: unknown, answer?: T) => void
type CorsOrigin = string | RegExp | boolean | readonly unknown[] | ((origin: string, answer: Answer<unknown>) => void)
interface Cors {
  credentials?: boolean
  origin?: CorsOrigin
}

/**
 * Refuses a page of another host that uses the visitor's session cookie: browsers send it along with a WebSocket's handshake, and
 * `cors` does not apply there.
 * @param request the connection's first one
 * @param timeout ms that the application's own `cors` functions may take
 * @returns an `ORIGIN_REFUSED` that says what was compared, for a request that carries the session cookie; `undefined` for none
 */
export async function originProblem(
  request: IncomingMessage,
  engine: Engine,
  allowed: readonly (string | RegExp)[] | undefined,
  timeout: number,
): Promise<SharedSessionError | undefined> {
  const { headers } = request
  const origin = originOf(request)
  if (origin === undefined || isOwn(origin, headers.host)) return undefined
  const hosts = ownHosts(headers)
  const asked = hostName(origin)
  if (asked !== undefined && hosts.includes(asked)) return undefined
  if (
    allowed
      ? allowed.includes('*') || allowed.some((entry) => matches(entry, origin))
      : await corsAllows(request, engine, origin, timeout)
  ) {
    return undefined
  }
  return new SharedSessionError(
    'ORIGIN_REFUSED',
    `The page's origin (${asked ?? origin}) is not this server's host (${hosts.filter(Boolean).join(', ') || 'unknown'}) and is not allowed to use its sessions. ` +
      'If it is yours, name it in the option allowedOrigins.',
  )
}

/** Does a browser say that the page is of another host? */
export function comesFromElsewhere(headers: IncomingMessage['headers']): boolean {
  if (headers['sec-fetch-site'] === 'cross-site') return true
  return headers.origin !== undefined && !ownHosts(headers).includes(hostName(headers.origin))
}

/** Nearly always so, and nothing has to be taken apart to see it. */
function isOwn(origin: string, host: string | undefined): boolean {
  return origin === `http://${host}` || origin === `https://${host}`
}

/** By the names that the client and a proxy know this server by. */
function ownHosts(headers: IncomingMessage['headers']): (string | undefined)[] {
  return [headers['x-forwarded-host'], headers.host].map((value) => hostName(first(value)))
}

/**
 * Where the page is from; `undefined` for what is not a browser, or the own page. Browsers send no Origin for a script element, and its
 * page can read what engine.io answers to one (JSONP): there it is what they say otherwise, or `null` where that is not enough.
 */
function originOf({ headers, _query }: IncomingMessage & { _query?: { j?: unknown } }): string | undefined {
  const { origin, referer, 'sec-fetch-site': site } = headers
  if (origin !== undefined) return origin
  const isForeign = site === 'cross-site' || site === 'same-site'
  if (!isForeign && (site !== undefined || _query?.j === undefined)) return undefined
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
async function corsAllows(request: IncomingMessage, engine: Engine, origin: string, timeout: number): Promise<boolean> {
  let allows = false
  const asked = async (): Promise<void> => {
    const cors = engine.opts.cors as Cors | ((request: object, answer: Answer<Cors>) => void) | undefined
    const { credentials, origin: listed } =
      (typeof cors === 'function' ? await answer<Cors>((done) => cors(request, done)) : cors) ?? {}
    if (!credentials) return
    const given = typeof listed === 'function' ? await answer<unknown>((done) => listed(origin, done)) : listed
    // As the cors package has it: a list's entries are compared as they are, and '*' does not go with credentials.
    allows =
      given === true || [given].flat().some((entry) => (entry instanceof RegExp ? origin.search(entry) >= 0 : entry === origin))
  }
  await settleWithin(asked(), timeout)
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
