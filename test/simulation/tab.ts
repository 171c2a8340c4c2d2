import { roomOf } from '../../src/socket/room.js'
import { settleWithin } from '../../src/util/promises.js'
import type { Scene } from './actors.js'
import type { RecoverableSocket } from './namespace.js'
import type { SimulatedNode } from './node.js'
import type { Operation } from './plan.js'
import type { SimulatedConnection } from './socket.js'
import { SocketClient } from './sockets.js'
import { type CookieJar, cookiesIn, requestWith } from './web.js'

/** How long a handshake waits for its session before it is answered, in ms. */
const ANSWER_WAIT = 1000
/** ms after which a user comes back to a page that has given up. */
const RELOAD = 3000

/** What a tab uses of its browser. */
export interface TabBrowser {
  readonly name: string
  readonly jar: CookieJar
  readonly host: {
    readonly world: Scene['world']
    readonly scene: Scene
    readonly isClosed: boolean
    /** ms that something takes on its way. */
    latency(): number
    pickNode(): SimulatedNode | undefined
  }
  /** Something of this browser has got that session. */
  owns(sid: string, what: string): void
}

/** A tab of a browser: connects with the cookies that the browser has, and comes back when its connection is lost. */
export class Tab {
  client: SocketClient | undefined
  node: SimulatedNode | undefined
  readonly #browser: TabBrowser
  /** Each packet is a request with the browser's cookies. */
  readonly #polls: boolean
  #conn: SimulatedConnection | undefined
  /** Names its connection if that is recovered. */
  #pid: string | undefined
  /** Counts connections: what belongs to an earlier one is lost. */
  #connection = 0
  #isWaiting = false

  constructor(browser: TabBrowser, polls: boolean) {
    this.#browser = browser
    this.#polls = polls
  }

  get isConnected(): boolean {
    return this.client?.isOpen === true
  }

  connect(): void {
    const connection = ++this.#connection
    const { host, jar } = this.#browser
    const node = host.pickNode()
    this.node = node
    if (!node) {
      this.#later(RELOAD)
      return
    }
    const { header } = jar
    host.world.after(host.latency(), node, 'tab connects', () => {
      if (connection !== this.#connection) return
      if (node.dead || node.closing) this.lost()
      else this.#handshake(node, header, connection)
    })
  }

  #handshake(node: SimulatedNode, cookie: string | undefined, connection: number): void {
    const { host, jar } = this.#browser
    const { world, scene } = host
    const job = scene.jobs.begin(`handshake of a tab of ${this.#browser.name} with ${cookiesIn(cookie)}`, node)
    const conn = node.connectionWith(cookie, this.#polls ? undefined : 'websocket')
    this.#conn = conn
    conn.once('close', () => world.after(host.latency(), undefined, 'tab loses its connection', () => this.lost(connection)))
    const prepared = node.prepare(conn).catch(() => undefined)
    settleWithin(prepared, ANSWER_WAIT).then(() => {
      if (!scene.jobs.end(job)) return
      const lines = node.preparer.takeSetCookies(conn.request as never)
      world.after(host.latency(), undefined, 'handshake is answered', () => {
        if (connection !== this.#connection) return
        jar.accept(lines)
        world.after(host.latency(), node, 'tab asks for its namespace', () => this.#ask(node, conn, connection))
      })
    })
  }

  #ask(node: SimulatedNode, conn: SimulatedConnection, connection: number): void {
    const { host } = this.#browser
    const { world, scene } = host
    if (connection !== this.#connection || node.dead || node.closing) return
    this.#poll(node, conn)
    if (conn.readyState !== 'open') return
    const job = scene.jobs.begin('tab', node)
    conn.once('close', () => {
      if (scene.jobs.open.has(job)) scene.jobs.end(job)
    })
    const end = (): boolean => scene.jobs.open.has(job) && scene.jobs.end(job)
    const auth = this.#pid === undefined ? {} : { pid: this.#pid, offset: 'offset' }
    const connected = (socket: RecoverableSocket): void => {
      // Listeners of 'connection' run after those of this package.
      node.tabs?.once('connection', () => {
        if (end() && connection === this.#connection) this.#onSocket(node, socket, connection)
      })
    }
    const refused = (error: Error): void => {
      if (!end()) return
      world.log(`tab is refused ${(error as { code?: string }).code}`)
      if (error instanceof TypeError) world.violate(`a tab was refused by a mistake: ${error}`, error)
      conn.close()
    }
    node.tabs?._add({ conn }, auth, connected, refused)
  }

  #onSocket(node: SimulatedNode, socket: RecoverableSocket, connection: number): void {
    const browser = this.#browser
    const { world, scene } = browser.host
    if (!node.memberOf(socket)) {
      if (!node.closing) world.violate('a socket of a tab has no session')
      return
    }
    const client = new SocketClient(world, scene.model, scene.database, node, socket, true)
    scene.sockets.push(client)
    // Two sums of joined sessions are not added up.
    client.sums = false
    this.client = client
    world.log(`tab of ${browser.name} connected ${client.sid} ${socket.recovered ? 'recovered' : ''}`)
    browser.owns(client.sid, 'a tab')
    if (!socket.rooms.has(roomOf(client.sid))) world.violate(`a socket of session ${client.sid} is not in its room`)
    socket.data.sid ??= client.sid
    if (socket.data.sid !== client.sid)
      world.violate(`a tab of session ${client.sid} was recovered with the data of session ${socket.data.sid}`)
    socket.on('disconnect', (reason: string) => {
      if (reason !== 'server namespace disconnect') return
      // As a client does that has no other namespace.
      const conn = this.#conn
      world.after(browser.host.latency(), undefined, 'tab is disconnected', () => this.lost(connection, RELOAD))
      world.after(browser.host.latency(), node, 'connection is closed', () => conn?.close())
    })
    // A poll brings what the answer to the handshake did not.
    const lines = this.#polls ? node.preparer.takeSetCookies(socket.conn.request as never) : []
    world.after(browser.host.latency(), undefined, 'tab is connected', () => {
      if (connection !== this.#connection) return
      this.#pid = socket.pid
      browser.jar.accept(lines)
    })
  }

  /** Its user does something. */
  say(operation: Operation): void {
    const { client, node } = this
    const conn = this.#conn
    const { world } = this.#browser.host
    if (!client?.isOpen || !node || !conn || node.closing || node.pausedUntil > world.now) return
    world.as(node, () => {
      this.#poll(node, conn)
      if (conn.readyState === 'open') client.send(operation)
    })
  }

  #poll(node: SimulatedNode, conn: SimulatedConnection): void {
    if (!this.#polls) return
    const request = requestWith(this.#browser.jar.header, '/socket.io/')
    node.preparer.connections.onConnectionRequest(request as never, conn as never)
  }

  /** Its connection breaks. The server notices that later. */
  cut(ms: number): void {
    const { node } = this
    const conn = this.#conn
    if (!conn || !node) return
    this.lost()
    this.#browser.host.world.after(ms, node, 'connection breaks', () => {
      if (!node.dead) conn.close()
    })
  }

  close(): void {
    const { node } = this
    const conn = this.#conn
    // What is on its way does not connect any more.
    this.#connection++
    if (node && conn && !node.dead) this.#browser.host.world.as(node, () => conn.close())
  }

  /** @param connection the one that is lost; omitted: the present one */
  lost(connection = this.#connection, delay = 50 + this.#browser.host.world.random.below(1000)): void {
    if (connection !== this.#connection) return
    this.#connection++
    this.client = this.node = this.#conn = undefined
    this.#later(delay)
  }

  #later(ms: number): void {
    const { host } = this.#browser
    if (this.#isWaiting || host.world.isOver) return
    this.#isWaiting = true
    host.world.after(ms, undefined, 'tab comes back', () => {
      this.#isWaiting = false
      if (!host.isClosed) this.connect()
    })
  }
}
