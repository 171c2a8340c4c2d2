import type { Finding } from '../types.js'
import type { Facts } from './facts.js'
import type { Attributes, SessionSettings } from './session-settings.js'

/** A cookie that lives shorter is one whose `maxAge` was meant in seconds. In ms. */
const SHORT = 60_000

const UNREADABLE = {
  wrapped: 'The middleware that was given to sharedsession() is not the very one of express-session, but one around it.',
  failed: 'The session middleware does not run on a request that has nothing but a URL: a function of its options needs more.',
}

/** What of the session middleware's options does not work. */
export function cookieFindings(facts: Facts): Finding[] {
  const { settings } = facts
  if (settings === undefined) return []
  if (settings === 'disconnected') {
    const message = "The store has emitted 'disconnect', and express-session makes no sessions until it emits 'connect'."
    return [{ code: 'STORE_DISCONNECTED', severity: 'error', message, advice: "Look at the store's connection." }]
  }
  if (typeof settings === 'string') {
    const message = `${UNREADABLE[settings]} So the settings of its cookie are not seen here.`
    return [
      { code: 'MIDDLEWARE_UNREADABLE', severity: 'info', message, advice: 'Look at them by yourself.' },
      ...pathFindings(facts),
    ]
  }
  return [...pathFindings(facts), ...attributeFindings(facts, settings), ...savingFindings(settings)]
}

function pathFindings({ probed: { cookiePath }, servers }: Facts): Finding[] {
  if (cookiePath === undefined) return []
  return servers
    .filter(({ path }) => !path.startsWith(cookiePath))
    .map(({ path }) => ({
      code: 'COOKIE_PATH',
      severity: 'error',
      message: `The session cookie's path (${cookiePath}) does not cover Socket.IO's (${path}): its sockets are refused.`,
      advice: "Set cookie.path to '/' in the session options, or Socket.IO's option path to one below the cookie's.",
    }))
}

function attributeFindings(facts: Facts, { cookies }: SessionSettings): Finding[] {
  const { tls, proxy } = cookies
  if (!tls) {
    const message =
      'express-session cannot write its cookie: a name, domain or path in its options has characters that none may have.'
    return [{ code: 'COOKIE_INVALID', severity: 'error', message, advice: 'A domain is a host name, without scheme and port.' }]
  }
  const mayHaveTls = facts.servers.length === 0 || facts.servers.some((each) => each.mayHaveTls)
  const findings = mayHaveTls ? [] : secureFindings(facts, cookies)
  const asSent = (mayHaveTls ? tls : proxy) ?? tls
  if (asSent.get('samesite')?.toLowerCase() === 'none' && !asSent.has('secure')) {
    findings.push({
      code: 'COOKIE_SAME_SITE',
      severity: 'error',
      message: "The session cookie has sameSite: 'none' and is not secure: browsers refuse it.",
      advice: 'Set cookie.secure to true; behind a proxy that ends TLS set proxy: true as well.',
    })
  }
  const expires = asSent.get('expires')
  const age = expires === undefined ? undefined : Date.parse(expires) - Date.now()
  if (age !== undefined && age < SHORT) {
    findings.push({
      code: 'COOKIE_MAX_AGE',
      severity: age <= 0 ? 'error' : 'warning',
      message: age <= 0 ? 'The session cookie has expired when it is set.' : 'The session cookie lives for less than a minute.',
      advice: 'cookie.maxAge is in milliseconds, and above 0. Leave it out for a cookie that lives as long as the browser runs.',
    })
  }
  return [...findings, ...nameFindings(facts, asSent), ...crossSiteFindings(facts, asSent)]
}

/** The server has no TLS of its own: a proxy may end it. */
function secureFindings({ trustsProxy }: Facts, { proxy, express, plain }: SessionSettings['cookies']): Finding[] {
  const finding = (severity: Finding['severity'], message: string, advice: string): Finding[] => [
    { code: 'COOKIE_SECURE', severity, message, advice },
  ]
  const advice = 'Set proxy: true in the session options, and let the proxy set X-Forwarded-Proto.'
  const reason = "Express's 'trust proxy' does not reach Socket.IO's requests."
  if (proxy) {
    if (trustsProxy && express?.has('secure') && !proxy.has('secure')) {
      const message = `Express trusts a proxy that ends TLS, and express-session does not: the cookie of a handshake is not secure, that of an HTTP response is. ${reason}`
      return finding('warning', message, advice)
    }
    if (plain) return []
    const message = 'The session cookie is secure: without TLS, as on a developer’s machine, none is set.'
    return finding('info', message, "With cookie: { secure: 'auto' } it is set there as well.")
  }
  const start = 'The session cookie is secure, and the server has no TLS of its own. Behind a proxy that ends TLS'
  if (trustsProxy && express) {
    return finding(
      'warning',
      `${start} HTTP responses set it, as Express trusts the proxy, and no cookie of a handshake is set: ${reason}`,
      advice,
    )
  }
  if (trustsProxy !== undefined) {
    return finding('error', `${start} no response sets it, as express-session does not trust the proxy.`, advice)
  }
  const message = `${start} a socket's handshake gets no cookie, as express-session does not trust the proxy: ${reason}`
  return finding('error', message, advice)
}

function nameFindings({ probed: { cookieName: name = '' }, servers }: Facts, cookie: Attributes): Finding[] {
  const finding = (message: string, advice: string): Finding => ({ code: 'COOKIE_NAME', severity: 'error', message, advice })
  const isHost = name.startsWith('__Host-')
  if (isHost && !(cookie.has('secure') && cookie.get('path') === '/' && !cookie.has('domain'))) {
    const message =
      'Browsers take a cookie whose name begins with __Host- only if it is secure, its path is /, and it has no domain.'
    return [finding(message, 'Set these, or give the cookie another name.')]
  }
  if (name.startsWith('__Secure-') && !cookie.has('secure')) {
    const message = 'Browsers take a cookie whose name begins with __Secure- only if it is secure.'
    return [finding(message, 'Set cookie.secure, or give the cookie another name.')]
  }
  if (!servers.some(({ engineCookie }) => engineCookie === name)) return []
  const message = `Socket.IO's option cookie has the name of the session cookie (${name}): each connection replaces it.`
  return [finding(message, "Take Socket.IO's option cookie out. Nothing needs it here.")]
}

/** `cors` lets pages of other origins in, of which a browser sends the cookie only to those of the same site. */
function crossSiteFindings({ servers }: Facts, cookie: Attributes): Finding[] {
  if (cookie.get('samesite')?.toLowerCase() === 'none') return []
  const isCors = ({ cors }: { cors: unknown }): boolean => (Object(cors) as { credentials?: unknown }).credentials === true
  if (!servers.some(isCors)) return []
  const message =
    "The option cors allows pages of other origins with credentials. The session cookie is not sameSite: 'none', so browsers send it for pages of the same site only, as another subdomain or port."
  const advice =
    "For pages of another site: cookie: { sameSite: 'none', secure: true }. Some browsers send no such cookie at all."
  return [{ code: 'CROSS_SITE', severity: 'info', message, advice }]
}

function savingFindings({ saveUninitialized, resave, rolling }: SessionSettings): Finding[] {
  const findings: Finding[] = []
  if (saveUninitialized) {
    findings.push({
      code: 'SAVE_UNINITIALIZED',
      severity: 'info',
      message: 'saveUninitialized: each request without a cookie stores a session, also those of programs that keep no cookies.',
      advice: 'Set saveUninitialized: false, unless each visitor has to have a session at once.',
    })
  }
  if (resave) {
    findings.push({
      code: 'RESAVE',
      severity: 'info',
      message:
        'resave: each request writes its session, changed or not. sharedsession writes no old values back, but where a process without it uses the store too, that process does.',
      advice: 'Set resave: false.',
    })
  }
  if (rolling) {
    findings.push({
      code: 'ROLLING',
      severity: 'info',
      message:
        'rolling: HTTP responses renew the cookie, and a WebSocket cannot. A page that only uses its socket loses the cookie at its end.',
      advice: 'Let such a page send an HTTP request from time to time.',
    })
  }
  return findings
}
