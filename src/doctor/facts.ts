import cluster from 'node:cluster'
import { Server as TlsServer } from 'node:tls'
import type { InstanceOptions } from '../options.js'
import type { SessionManager } from '../session/session-manager.js'
import type { InstanceContext } from '../socket/instance-context.js'
import type { KnownServer, Servers } from '../socket/servers.js'
import type { ProbeResult } from '../store/probe.js'
import { readSettings, type SessionSettings, type Unreadable } from './session-settings.js'

/** A Socket.IO server. */
export interface ServerFacts {
  readonly attached: boolean
  /** As in the option `path` of Socket.IO, with a slash at its end. */
  readonly path: string
  /** Its HTTP server has TLS of its own, or is not known. */
  readonly mayHaveTls: boolean
  readonly hasClusterAdapter: boolean
  readonly recovers: boolean
  readonly cors: unknown
  /** The name of a cookie of Engine.IO's own. */
  readonly engineCookie: string | undefined
  /** The session middleware runs for each of its requests. */
  readonly runsSession: boolean
}

/** What the findings are made of. */
export interface Facts {
  readonly probed: ProbeResult
  readonly options: InstanceOptions
  readonly manager: SessionManager | undefined
  readonly servers: readonly ServerFacts[]
  /** The session middleware had run for a handshake before this package was asked. */
  readonly middlewareRanBefore: boolean
  /** There are other processes of this application, as far as can be seen. */
  readonly severalProcesses: boolean
  /** Express's setting `trust proxy` is on. `undefined`: no request of an Express application has shown it. */
  readonly trustsProxy: boolean | undefined
  readonly settings: SessionSettings | Unreadable | 'wrapped' | undefined
}

export function collectFacts(context: InstanceContext, servers: Servers): Facts {
  const found = servers.known().map((server) => serverFacts(server, context.middleware))
  return {
    probed: context.probed,
    options: context.options,
    manager: context.manager,
    servers: found,
    middlewareRanBefore: context.middlewareRanBefore,
    // pm2 numbers the processes of an application, and a single one is number 0.
    severalProcesses:
      cluster.isWorker || Number(process.env.NODE_APP_INSTANCE) > 0 || found.some((each) => each.hasClusterAdapter),
    trustsProxy: trustsProxy(context.manager?.requests.app),
    settings: settingsOf(context),
  }
}

function trustsProxy(app: unknown): boolean | undefined {
  const { enabled } = Object(app) as { enabled?: unknown }
  return typeof enabled === 'function' ? enabled.call(app, 'trust proxy') === true : undefined
}

function settingsOf({ middleware, isExpressSession, manager, probed }: InstanceContext): Facts['settings'] {
  if (!manager) return undefined
  // It may do anything, and take its time.
  if (!isExpressSession) return 'wrapped'
  const { cookiePath: path = '/', cookieName: name = 'connect.sid' } = probed
  return readSettings(middleware, manager.store, { path, name })
}

function serverFacts({ io, isAttached, hasClusterAdapter }: KnownServer, middleware: object): ServerFacts {
  // socket.io declares these private; an engine there is only after `attach` or `listen`.
  const { httpServer, opts, engine } = io as unknown as {
    httpServer?: object
    opts?: { connectionStateRecovery?: unknown }
    engine?: { opts?: { cors?: unknown; cookie?: { name: string } | false }; middlewares?: unknown[] }
  }
  const cookie = engine?.opts?.cookie
  return {
    attached: isAttached,
    path: `${io.path().replace(/\/$/, '')}/`,
    mayHaveTls: httpServer === undefined || httpServer instanceof TlsServer,
    hasClusterAdapter,
    recovers: Boolean(opts?.connectionStateRecovery),
    cors: engine?.opts?.cors,
    engineCookie: cookie ? cookie.name : undefined,
    runsSession: engine?.middlewares?.includes(middleware) === true,
  }
}
