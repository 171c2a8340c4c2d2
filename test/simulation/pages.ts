import { mirror } from '../../src/client/mirror.js'
import { MIRROR_EVENT, type MirrorFrame } from '../../src/client/protocol.js'
import type { Mirror } from '../../src/client/types.js'
import { MirrorGroup } from '../../src/socket/mirror/mirror-group.js'
import type { Actors, Scene } from './actors.js'
import { type PageFeatures, publish } from './features.js'
import type { SimulatedNode } from './node.js'
import { type PageHost, PageSocket } from './page-socket.js'
import type { Operation } from './plan.js'
import type { SocketClient } from './sockets.js'

/** The groups of mirrors that were opened and are not closed. */
const open = new Set<MirrorGroup>()

/** Counts groups: none may be left in the end. */
export function observeMirrors(): void {
  const { join, close } = MirrorGroup.prototype
  MirrorGroup.prototype.join = function (reader) {
    open.add(this)
    join.call(this, reader)
  }
  MirrorGroup.prototype.close = function () {
    open.delete(this)
    close.call(this)
  }
}

/** Pages with mirrors of what their sessions publish: what they show, and what comes to them. */
export class Pages implements PageHost {
  readonly world: Scene['world']
  readonly #scene: Scene
  readonly #actors: Actors
  readonly #features: PageFeatures
  readonly #nodes: readonly SimulatedNode[]
  readonly #pages: Page[] = []
  /** By session: the states that were published, in order. Before it is stored it is empty. */
  readonly #published = new Map<string, string[]>()

  constructor(scene: Scene, actors: Actors, features: PageFeatures, nodes: readonly SimulatedNode[]) {
    this.world = scene.world
    this.#scene = scene
    this.#actors = actors
    this.#features = features
    this.#nodes = nodes
    open.clear()
    scene.model.onStored = (sid, text) => {
      const states = this.#statesOf(sid)
      const state = textOf(publish(JSON.parse(text)))
      if (states.at(-1) !== state) states.push(state)
    }
  }

  #statesOf(sid: string): string[] {
    let states = this.#published.get(sid)
    if (!states) {
      states = [EMPTY]
      this.#published.set(sid, states)
    }
    return states
  }

  open(operation: Operation): void {
    const page = new Page(this, this.#scene, operation.session)
    this.#pages.push(page)
    page.socket.connect()
  }

  /** A connection breaks. */
  drop({ socket: index }: Operation): void {
    const page = this.#pages[index % (this.#pages.length || 1)]
    const { conn, node } = page?.socket ?? {}
    if (!page || !conn || !node || node.dead) return
    page.socket.lost('transport close')
    this.world.after(this.latency(), node, 'connection breaks', () => conn.close())
  }

  /** The process of a node has ended. */
  ended(node: SimulatedNode): void {
    for (const { socket } of this.#pages) if (socket.node === node) socket.lost('transport close')
  }

  latency(): number {
    const { random, faulty } = this.world
    return random.below(faulty && random.chance(0.1) ? 100 : 3)
  }

  pickNode(): SimulatedNode | undefined {
    const nodes = this.#nodes.filter(({ dead, closing }) => !dead && !closing)
    return nodes.length > 0 ? this.world.random.pick(nodes) : undefined
  }

  handshake(node: SimulatedNode, socket: PageSocket, auth: object): void {
    const page = this.#pages.find((each) => each.socket === socket) as Page
    const conn = node.connection(this.#scene.sids[page.session])
    socket.conn = conn
    conn.once('close', () => {
      if (socket.conn === conn)
        this.world.after(
          this.latency(),
          undefined,
          'connection is lost',
          () => socket.conn === conn && socket.lost('transport close'),
        )
    })
    conn.transmit = (text) => {
      page.sent(text)
      socket.receive(conn, text)
    }
    conn.isSlow = () => this.world.faulty && this.world.random.chance(this.#features.slowPages)
    conn.later = (run) => this.world.after(this.world.random.below(50), node, 'transport drains', run)
    this.#actors.connectPage(node, conn, auth, (client, error) => {
      if (client) {
        // Its page may have left this connection, and have another one by now.
        if (socket.conn !== conn) return
        page.client = client
        socket.peer = client.socket
      } else if (error)
        this.world.after(this.latency(), undefined, 'page is refused', () => socket.conn === conn && socket.refused(error))
    })
  }

  /** A page shows another state. */
  shows(page: Page, low: number, text: string): number {
    const { client } = page
    const sid = client?.sid ?? ''
    if (this.#scene.model.of(sid).isDisturbed) return low
    const at = this.#statesOf(sid).indexOf(text, low)
    if (at >= 0) return at
    const wasOlder = this.#statesOf(sid).includes(text)
    this.world.violate(
      `a page of session ${sid} shows ${wasOlder ? 'an older state than before' : 'a state that was never stored'}: ${text}`,
    )
    return low
  }

  /** All faults are over, and everything is at rest. */
  atRest(): void {
    for (const page of this.#pages) {
      const { socket, client, live } = page
      if (!socket.connected || !client?.isOpen) {
        // A client whose cookie names no session that is there may be sent away again and again.
        const sid = this.#scene.sids[page.session]
        if (sid === undefined || !this.#scene.database.find(sid)) continue
        this.world.violate(`a page of session ${sid} is not connected in the end`)
        return
      }
      const session = this.#scene.model.of(client.sid)
      const row = this.#scene.database.find(client.sid)
      if (session.isDisturbed || (!row && session.isStored && this.world.skew < 0)) continue
      const expected = row ? textOf(publish(JSON.parse(row.text))) : EMPTY
      const shown = live.get() && textOf(live.get() as object)
      if (live.status !== 'live' || shown !== expected)
        this.world.violate(
          `a page of session ${client.sid} is ${live.status} and shows ${shown}, and the session publishes ${expected}`,
        )
    }
  }

  /** The pages are closed. */
  close(): void {
    for (const { live, socket } of this.#pages) {
      socket.closed = true
      live.close()
      socket.disconnect()
    }
  }

  /** Nothing is left of them. */
  closed(): void {
    if (open.size > 0) this.world.violate(`${open.size} groups of mirrors are left`)
  }
}

class Page {
  readonly socket: PageSocket
  readonly live: Mirror<object>
  readonly session: number
  /** Its socket on the server. */
  client: SocketClient | undefined
  readonly #pages: Pages
  readonly #scene: Scene
  /** Which state it shows, among those of its session. */
  #shown = 0

  constructor(pages: Pages, scene: Scene, session: number) {
    this.#pages = pages
    this.#scene = scene
    this.session = session
    this.socket = new PageSocket(pages)
    this.live = mirror<object>(this.socket as never)
    this.socket.on('connect', () => {
      this.#shown = 0
    })
    const look = (): void => {
      const state = this.live.get()
      if (state && this.live.status === 'live') this.#shown = pages.shows(this, this.#shown, textOf(state))
    }
    this.live.listen(look)
    this.live.statuses.listen(look)
  }

  /** Something was written to its connection. */
  sent(text: string): void {
    const { type, data } = JSON.parse(text) as { type: number; data: [string, MirrorFrame] }
    if (type !== 2 || data[0] !== MIRROR_EVENT) return
    const frame = data[1]
    const { t: _t, f: _f, n: _n, ...content } = frame as { t?: string; f?: string; n?: string }
    if (/"k\d+"|keys/.test(JSON.stringify(content))) this.#pages.world.violate(`a frame has what is not published: ${text}`)
    for (const sid of this.#scene.model.sessions.keys())
      if (sid !== '' && text.includes(sid)) this.#pages.world.violate(`a frame has the id of a session: ${text}`)
    this.#pages.world.log(`frame ${JSON.stringify(frame)}`)
  }
}

/** As equal states have equal texts. */
function textOf(state: object): string {
  return JSON.stringify(state)
}

const EMPTY = textOf(publish({}))
