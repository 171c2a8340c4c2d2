import { createHmac } from 'node:crypto'
import type { RequestHandler } from 'express'
import session from 'express-session'
import type { Namespace, Socket } from 'socket.io'
import type { SharedSessionOptions } from '../../src/options.js'
import type { SessionManager } from '../../src/session/session-manager.js'
import { SharedEvents } from '../../src/socket/events.js'
import { HandshakePreparer } from '../../src/socket/handshake/handshake-preparer.js'
import { Handshakes } from '../../src/socket/handshake.js'
import { forceReconnect } from '../../src/socket/handshake-errors.js'
import { InstanceContext } from '../../src/socket/instance-context.js'
import { Recovery } from '../../src/socket/recovery.js'
import { SocketBindings } from '../../src/socket/socket-binding.js'
import type { SocketMember } from '../../src/socket/socket-member.js'
import { type BusHub, SimulatedBus } from './bus.js'
import type { Database } from './database.js'
import { type Features, publish } from './features.js'
import { randomId } from './globals.js'
import { type SimulatedAdapters, SimulatedNamespace } from './namespace.js'
import type { Profile } from './profile.js'
import { namespaceOf, SimulatedConnection, SimulatedSocket } from './socket.js'
import { type Client, SimulatedStore } from './store.js'

const SECRET = 'simulation'

/**
 * One node: the real code from the store's methods up to handshakes, sockets, acks and ends. Only the network is simulated. A node that is
 * started again is another one.
 */
export class SimulatedNode implements Client {
  readonly name: string
  readonly bus: SimulatedBus | undefined
  readonly store: SimulatedStore
  readonly bindings: SocketBindings
  readonly events = new SharedEvents()
  pausedUntil = 0
  /** It was killed: it gets no answers, and nothing that it does has an effect. */
  dead = false
  /** It is being closed in good order. */
  closing = false
  readonly middleware: RequestHandler
  readonly preparer: HandshakePreparer
  /** Of browsers' tabs. */
  readonly tabs: SimulatedNamespace | undefined
  readonly #context: InstanceContext
  readonly #handshakes: Handshakes
  readonly #namespace = namespaceOf()
  readonly #recovery: Recovery | undefined

  /** @param adapters those of browsers' tabs */
  constructor(
    name: string,
    database: Database,
    hub: BusHub,
    profile: Profile,
    { pages }: Features = {},
    adapters?: SimulatedAdapters,
  ) {
    this.name = name
    this.store = new SimulatedStore(database, this, profile)
    this.bus = profile.bus === 'none' ? undefined : new SimulatedBus(hub, this)
    this.middleware = session({
      store: this.store,
      secret: SECRET,
      resave: false,
      saveUninitialized: false,
      genid: () => `s${randomId(8)}`,
      cookie: { maxAge: profile.maxAge },
    })
    const options: SharedSessionOptions = {
      bus: this.bus ?? false,
      merge: { sum: 'sum' },
      autoSave: profile.autoSave,
      onChange: profile.onChange,
      revalidate: profile.revalidate,
      ...(pages && { publish, publishInterval: pages.publishInterval }),
      retry: { attempts: profile.attempts, minDelay: 20, maxDelay: 500, timeout: profile.timeout },
    }
    const { middleware } = this
    this.#context = new InstanceContext({ middleware, parser: undefined, options }, this.events, () => undefined)
    this.#context.acquire(this.store)
    this.preparer = new HandshakePreparer(this.#context)
    const { connections } = this.preparer
    const onBound = adapters ? ({ conn }: Socket) => connections.onSocketConnected(conn) : () => undefined
    this.bindings = new SocketBindings(this.#context, onBound)
    this.#handshakes = new Handshakes(this.#context, this.preparer, this.bindings)
    if (!adapters) return
    this.manager.newSessions.add(connections.onNewSession)
    this.tabs = new SimulatedNamespace(this, adapters, (socket, next) => this.#admit(socket, next))
    this.#recovery = new Recovery(this.tabs as unknown as Namespace, this.#handshakes)
  }

  /** The middleware of a namespace, as `SharedSessionInstance.handleSocket()`. */
  async #admit(socket: SimulatedSocket, next: (error?: Error) => void): Promise<void> {
    let refusal: Error | undefined
    try {
      if (await this.#handshakes.openSession(socket.asSocket)) this.memberOf(socket)?.makeRefusable(next)
      else refusal = forceReconnect(socket.asSocket)
    } catch (error) {
      refusal = error as Error
    }
    process.nextTick(next, refusal)
  }

  get manager(): SessionManager {
    return this.#context.requireManager()
  }

  /** A client connects. @param cookie the id that its cookie names */
  connection(cookie: string | undefined): SimulatedConnection {
    return new SimulatedConnection(cookie === undefined ? undefined : `connect.sid=${encodeURIComponent(signed(cookie))}`)
  }

  /** A browser connects. @param cookie the header that it sends */
  connectionWith(cookie: string | undefined, upgrade?: 'websocket'): SimulatedConnection {
    return new SimulatedConnection(cookie, upgrade)
  }

  /** As Engine.IO's hooks do, before the handshake is answered. */
  prepare(conn: SimulatedConnection): Promise<unknown> {
    return this.preparer.prepare(conn.request as never, conn.server as never) ?? Promise.resolve()
  }

  /** The middleware of a namespace. @returns `undefined` if the client is to reconnect, or was refused */
  async connect(
    conn: SimulatedConnection,
    auth?: object,
    onSocket?: (socket: SimulatedSocket) => void,
  ): Promise<SimulatedSocket | undefined> {
    const socket = new SimulatedSocket(randomId(6), conn, this.#namespace)
    if (auth) socket.handshake.auth = auth
    if (!(await this.#handshakes.openSession(socket.asSocket))) return undefined
    const member = this.memberOf(socket)
    let refused = false
    const next = (error?: Error): void => {
      if (error || refused || socket.conn.readyState !== 'open') {
        refused = true
        socket.leaveAll()
      } else {
        onSocket?.(socket)
        socket._onconnect()
      }
    }
    member?.makeRefusable(next)
    await new Promise<void>((resolve) => process.nextTick(resolve))
    next()
    return socket.connected ? socket : undefined
  }

  memberOf(socket: SimulatedSocket): SocketMember | undefined {
    return this.bindings.memberOf(socket)
  }

  /** What `shared.close()` does. */
  async close(): Promise<void> {
    this.closing = true
    this.#context.close()
    await this.manager.flush().catch(() => undefined)
    this.bindings.close()
    this.#recovery?.close()
    this.manager.newSessions.delete(this.preparer.connections.onNewSession)
    this.#context.release()
  }

  /** Its process is killed. What is left of it here is stopped, and can reach nobody. */
  kill(): void {
    this.dead = true
    this.bus?.close()
    this.bindings.close()
    this.manager.close(() => undefined)
  }
}

function signed(sid: string): string {
  return `s:${sid}.${createHmac('sha256', SECRET).update(sid).digest('base64').replace(/=+$/, '')}`
}
