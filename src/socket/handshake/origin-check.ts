import type { IncomingMessage } from 'node:http'
import { SharedSessionError } from '../../errors.js'
import { matchesOrigin, parseUrl } from '../../origins-option.js'
import { settleWithin } from '../../util/promises.js'
import type { Engine } from './incoming-handshake.js'

type Answer<T> = (error: unknown, answer?: T) => void
type CorsOrigin = string | RegExp | boolean | readonly unknown[] | ((origin: string, answer: Answer<unknown>) => void)

const HTTP = 'http://'
const HTTPS = 'https://'

interface Cors {
  credentials?: boolean
  origin?: CorsOrigin
}

/**
 * Checks the origin of a handshake. A page of another host must not use the visitor's session: browsers send cookies with a WebSocket's
 * handshake, and `cors` does not apply to it.
 * @param request the connection's first one
 * @param timeout ms that the application's own `cors` functions may take
 * @returns `undefined` if the origin is this server's; otherwise resolves to an `ORIGIN_REFUSED` that says what was compared, to be thrown if the request carries a session cookie; `undefined` if the
 * origin is allowed
 */
export function originProblem(
  request: IncomingMessage,
  engine: Engine,
  allowed: readonly (string | RegExp)[] | undefined,
  timeout: number,
): Promise<SharedSessionError | undefined> | undefined {
  const origin = originOf(request)
  if (origin === undefined || isSameHost(origin, request.headers.host)) return undefined
  return foreignOriginProblem(request, origin, engine, allowed, timeout)
}

async function foreignOriginProblem(
  request: IncomingMessage,
  origin: string,
  engine: Engine,
  allowed: readonly (string | RegExp)[] | undefined,
  timeout: number,
): Promise<SharedSessionError | undefined> {
  const { headers } = request
  const hosts = ownHosts(headers)
  const host = hostName(origin)
  if (host !== undefined && hosts.includes(host)) return undefined
  if (
    allowed
      ? allowed.includes('*') || allowed.some((entry) => matchesOrigin(entry, origin))
      : await corsAllows(request, engine, origin, timeout)
  ) {
    return undefined
  }
  return new SharedSessionError(
    'ORIGIN_REFUSED',
    `The page's origin (${host ?? origin}) is not this server's host (${hosts.filter(Boolean).join(', ') || 'unknown'}) and is not allowed to use its sessions. ` +
      'If it is yours, name it in the option allowedOrigins.',
  )
}

/** Do the headers say that the page is of another host? */
export function isCrossHost(headers: IncomingMessage['headers']): boolean {
  if (headers['sec-fetch-site'] === 'cross-site') return true
  return headers.origin !== undefined && !ownHosts(headers).includes(hostName(headers.origin))
}

/** The usual case, without parsing. */
function isSameHost(origin: string, host: string | undefined): boolean {
  if (!host || !origin.endsWith(host)) return false
  const scheme = origin.length - host.length
  return scheme === HTTP.length ? origin.startsWith(HTTP) : scheme === HTTPS.length && origin.startsWith(HTTPS)
}

/** The names of this server for the client and for a proxy. */
function ownHosts(headers: IncomingMessage['headers']): (string | undefined)[] {
  return [headers['x-forwarded-host'], headers.host].map((value) => hostName(first(value)))
}

/**
 * The origin of the page; `undefined` for a client that is not a browser, and for a page of this server. For a script element (JSONP),
 * whose answer its page can read, browsers send no Origin: then it is taken from the Referer, and is `null` if there is none.
 */
function originOf({ headers, _query }: IncomingMessage & { _query?: { j?: unknown } }): string | undefined {
  const { origin, referer, 'sec-fetch-site': site } = headers
  if (origin !== undefined) return origin
  const isForeign = site === 'cross-site' || site === 'same-site'
  if (!isForeign && (site !== undefined || _query?.j === undefined)) return undefined
  return parseUrl(referer)?.origin ?? 'null'
}

/** Does the server's option `cors` allow the origin with credentials? No, if a function in it fails or does not answer in time. */
async function corsAllows(request: IncomingMessage, engine: Engine, origin: string, timeout: number): Promise<boolean> {
  let allows = false
  const check = async (): Promise<void> => {
    const cors = engine.opts.cors as Cors | ((request: object, answer: Answer<Cors>) => void) | undefined
    const { credentials, origin: listed } =
      (typeof cors === 'function' ? await promisify<Cors>((done) => cors(request, done)) : cors) ?? {}
    if (!credentials) return
    const given = typeof listed === 'function' ? await promisify<unknown>((done) => listed(origin, done)) : listed
    // As the cors package does: a list's entries are compared exactly, and '*' is not allowed with credentials.
    allows =
      given === true || [given].flat().some((entry) => (entry instanceof RegExp ? origin.search(entry) >= 0 : entry === origin))
  }
  await settleWithin(check(), timeout)
  return allows
}

function promisify<T>(call: (done: Answer<T>) => void): Promise<T | undefined> {
  return new Promise((resolve, reject) => call((error, value) => (error ? reject(error) : resolve(value))))
}

/** The host name of an origin or of a Host header: in lower case, without the port. */
function hostName(value: string | undefined): string | undefined {
  return parseUrl(value)?.hostname || undefined
}

function first(header: IncomingMessage['headers'][string]): string | undefined {
  return String(header ?? '')
    .split(',')[0]
    ?.trim()
}
