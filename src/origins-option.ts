import { badOption as bad } from './errors.js'

const WANTED =
  "origins such as 'https://a.com:8443' and host names such as 'a.com' or 'a.com:8443', without a path, regular expressions " +
  "(for subdomains: /^https:\\/\\/([^/]+\\.)?a\\.com$/), or '*'"

/** The option `allowedOrigins`. @throws `BAD_OPTION` for an entry that no page's origin can match, too */
export function readOrigins(value: unknown, name: string): readonly (string | RegExp)[] | undefined {
  if (value === undefined) return undefined
  const list = (Array.isArray(value) ? value : [value]) as readonly unknown[]
  for (const entry of list) {
    if (!(entry instanceof RegExp) && (typeof entry !== 'string' || !isOriginOrHost(entry))) bad(name, WANTED, entry)
  }
  return list as readonly (string | RegExp)[]
}

/** An origin is compared with its scheme and port; a host name with its port, if it has one, and matches all ports otherwise. */
export function matchesOrigin(allowed: string | RegExp, origin: string): boolean {
  // `test` would continue after the last match of a global expression.
  if (typeof allowed !== 'string') return origin.search(allowed) >= 0
  const wanted = parseUrl(allowed)
  const given = parseUrl(origin)
  if (!wanted || !given || wanted.hostname !== given.hostname) return false
  if (allowed.includes('://')) return wanted.protocol === given.protocol && wanted.port === given.port
  const port = portOf(allowed)
  return port === undefined || port === (given.port || DEFAULT_PORTS[given.protocol])
}

/** @param value an origin, or a host with or without its port */
export function parseUrl(value: string | undefined): URL | undefined {
  // `null` is what a sandboxed frame sends, and no host.
  if (!value || value === 'null') return undefined
  const url = value.includes('://') ? value : `http://${value}`
  return URL.canParse(url) ? new URL(url) : undefined
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' }

/** Of a host without a scheme: a URL leaves the default port of its scheme out. */
function portOf(host: string): string | undefined {
  const port = /:(\d+)\/?$/.exec(host)?.[1]
  return port && String(Number(port))
}

function isOriginOrHost(entry: string): boolean {
  if (entry === '*') return true
  const url = parseUrl(entry)
  if (!url || /^\.|[*,]/.test(url.hostname)) return false
  return !url.username && !url.password && !url.search && !url.hash && (url.pathname === '' || url.pathname === '/')
}
