import { EventEmitter } from 'node:events'
import { capture } from './async-storage.js'
import type { BrowserFeatures } from './features.js'
import { randomId } from './globals.js'
import { type SimulatedConnection, SimulatedSocket } from './socket.js'
import type { Process, World } from './world.js'

/** What an adapter keeps of a socket whose connection was lost. */
interface KeptSocket {
  sid: string
  pid: string
  rooms: string[]
  data: Record<string, unknown>
  missedPackets: unknown[]
  until: number
}

/** The reasons after which Socket.IO recovers a connection. */
const RECOVERABLE = new Set(['transport close'])

/** What the adapters of all nodes have in common, as those of Socket.IO that recover connections on other nodes. */
export class SimulatedAdapters {
  readonly recovery: BrowserFeatures['recovery']
  readonly #world: World
  readonly #kept = new Map<string, KeptSocket>()

  constructor(world: World, { recovery }: BrowserFeatures) {
    this.#world = world
    this.recovery = recovery
  }

  persist(socket: RecoverableSocket, reason: string): void {
    if (!this.recovery || !RECOVERABLE.has(reason)) return
    const { id: sid, pid, rooms, data } = socket
    const until = this.#world.now + this.recovery.maxDisconnectionDuration
    this.#kept.set(pid, { sid, pid, rooms: [...rooms], data, missedPackets: [], until })
  }

  /** @param process asks for it */
  restore(process: Process, pid: string): Promise<KeptSocket | null> {
    return new Promise((resolve) => {
      this.#world.after(this.#world.random.below(5), process, 'adapter answers', () => {
        const kept = this.#kept.get(pid)
        resolve(kept && kept.until > this.#world.now ? kept : null)
      })
    })
  }
}

/** A socket of a namespace that recovers connections. */
export class RecoverableSocket extends SimulatedSocket {
  override readonly recovered: boolean
  readonly pid: string
  readonly data: Record<string, unknown>
  readonly #adapters: SimulatedAdapters

  constructor(adapters: SimulatedAdapters, conn: SimulatedConnection, nsp: object, previous: KeptSocket | null) {
    super(previous?.sid ?? randomId(6), conn, nsp)
    this.#adapters = adapters
    this.recovered = previous !== null
    this.pid = previous?.pid ?? randomId(6)
    this.data = previous?.data ?? {}
    for (const room of previous?.rooms ?? []) this.join(room)
  }

  protected override beforeCleanUp(reason: string): void {
    this.#adapters.persist(this, reason)
  }
}

interface Client {
  conn: SimulatedConnection
}

/** A namespace as Socket.IO has it, as far as it decides about recovery. */
export class SimulatedNamespace extends EventEmitter {
  readonly name = '/'
  readonly server: object
  readonly adapter: EventEmitter
  readonly #adapters: SimulatedAdapters
  readonly #middleware: (socket: SimulatedSocket, next: (error?: Error) => void) => unknown

  /** @param middleware of the namespace */
  constructor(
    process: Process,
    adapters: SimulatedAdapters,
    middleware: (socket: SimulatedSocket, next: (error?: Error) => void) => unknown,
  ) {
    super()
    const { recovery } = adapters
    const opts = recovery ? { connectionStateRecovery: recovery } : {}
    this.server = { path: () => '/socket.io', engine: { opts: {} }, opts }
    this.adapter = Object.assign(new EventEmitter(), { restoreSession: (pid: string) => adapters.restore(process, pid) })
    this.#adapters = adapters
    this.#middleware = middleware
  }

  /** A client asks for the namespace. @param refused is called in place of a packet `connect_error` */
  async _add(
    client: Client,
    auth: { pid?: string; offset?: string },
    connected: (socket: RecoverableSocket) => void,
    refused: (error: Error) => void,
  ): Promise<void> {
    // Node's own storage lasts for all of this.
    const inContext = capture()
    const { recovery } = this.#adapters
    const { conn } = client
    const { restoreSession } = this.adapter as unknown as {
      restoreSession(pid: string, offset: string): Promise<KeptSocket | null>
    }
    const isAsked = recovery && auth.pid !== undefined && auth.offset !== undefined
    const previous = isAsked ? await restoreSession(auth.pid as string, auth.offset as string).catch(() => null) : null
    const socket = new RecoverableSocket(this.#adapters, conn, this, previous)
    const connect = (): void => {
      socket._onconnect()
      connected(socket)
      this.emit('connect', socket)
      this.emit('connection', socket)
    }
    if (recovery?.skipMiddlewares && socket.recovered && conn.readyState === 'open') return inContext(connect)
    let isDecided = false
    this.#middleware(socket, (error) => {
      process.nextTick(() => {
        if (error || isDecided || conn.readyState !== 'open') {
          socket.leaveAll()
          if (error && !isDecided && conn.readyState === 'open') refused(error)
        } else inContext(connect)
        isDecided = true
      })
    })
  }
}
