import type { Finding } from '../types.js'
import type { Facts, ServerFacts } from './facts.js'

interface Cors {
  origin?: unknown
  credentials?: unknown
}

/** What of the options of Socket.IO, and of those about its sockets, does not work. */
export function serverFindings({ servers, options, middlewareRanBefore }: Facts): Finding[] {
  const findings: Finding[] = []
  if (servers.length === 0) {
    findings.push({
      code: 'NO_SERVER',
      severity: 'info',
      message: 'No Socket.IO server is known yet, nor whether it has TLS. With io.use(shared) it is from the first socket on.',
      advice: 'shared.attach(io) makes it known at once.',
    })
  }
  for (const server of servers) findings.push(...findingsOf(server, options))
  if (middlewareRanBefore && !servers.some(({ runsSession }) => runsSession)) {
    findings.push({
      code: 'ENGINE_MIDDLEWARE',
      severity: 'warning',
      message:
        'The session middleware has run for a handshake before sharedsession: by a wrapper in io.engine.use(), or by io.use((socket, next) => session(socket.request, {}, next)). Clients that have no cookie may get none.',
      advice: 'Take it out: sharedsession needs none.',
    })
  }
  if (options.allowedOrigins?.includes('*')) {
    findings.push({
      code: 'ANY_ORIGIN',
      severity: 'warning',
      message:
        "allowedOrigins: '*' lets any page that a visitor opens use the visitor's session by a WebSocket, if the browser sends the cookie.",
      advice: 'Name the origins of your pages.',
    })
  }
  if (options.publish?.perSocket) {
    findings.push({
      code: 'PUBLISH_PER_SOCKET',
      severity: 'info',
      message:
        'The function publish has a second parameter, so it runs once for each socket, and shared.published() cannot be used.',
      advice: 'Use one parameter, unless the sockets of one session publish different things.',
    })
  }
  return findings
}

function findingsOf({ attached, runsSession, recovers, cors }: ServerFacts, options: Facts['options']): Finding[] {
  const findings: Finding[] = []
  if (!attached) {
    findings.push({
      code: 'NOT_ATTACHED',
      severity: 'info',
      message:
        'The middleware is used by io.use(): other namespaces need it as well, and the first client of a process may get no cookie.',
      advice: 'shared.attach(io) uses it on all namespaces, and prepares each handshake.',
    })
  }
  if (runsSession) {
    findings.push({
      code: 'ENGINE_MIDDLEWARE',
      severity: 'warning',
      message: 'io.engine.use(session) makes the session middleware run for every poll, and refuses WebTransport.',
      advice: 'Take it out: sharedsession needs none.',
    })
  }
  if (recovers && !options.room) {
    findings.push({
      code: 'NO_RECOVERY',
      severity: 'warning',
      message: 'connectionStateRecovery is set, and with the option room: false no socket is recovered.',
      advice: 'Take one of the two out.',
    })
  }
  return [...findings, ...corsFindings(cors)]
}

function corsFindings(cors: unknown): Finding[] {
  if (typeof cors !== 'object' || cors === null) return []
  const { origin = '*', credentials } = cors as Cors
  if (credentials !== true) {
    return [
      {
        code: 'CORS_CREDENTIALS',
        severity: 'warning',
        message: 'The option cors has no credentials: true: pages of other origins connect by polling without their cookies.',
        advice: 'Set credentials: true in cors, name the origins, and set withCredentials: true on the client.',
      },
    ]
  }
  if (![origin].flat().includes('*')) return []
  return [
    {
      code: 'CORS_ANY_ORIGIN',
      severity: 'error',
      message: "The option cors has credentials: true and the origin '*': browsers refuse that.",
      advice: 'Name the origins of your pages.',
    },
  ]
}
