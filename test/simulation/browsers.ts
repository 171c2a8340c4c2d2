import type { Actors, Scene } from './actors.js'
import type { BrowserFeatures } from './features.js'
import { Moves } from './moves.js'
import type { SimulatedNode } from './node.js'
import type { Operation } from './plan.js'
import { Tab } from './tab.js'
import { CookieJar, cookiesIn, requestWith, serve, type WebRequest, WebResponse } from './web.js'

/** Browsers with cookies: their requests, which go through express-session, and their tabs. */
export class Browsers {
  readonly world: Scene['world']
  readonly scene: Scene
  readonly actors: Actors
  readonly features: BrowserFeatures
  readonly #nodes: readonly SimulatedNode[]
  readonly #browsers: Browser[] = []
  readonly #moves: Moves
  /** By session. */
  readonly owners = new Map<string, Browser>()
  /** Those that have not ended. */
  readonly responses = new Map<WebResponse, SimulatedNode>()
  /** Regenerated sessions that could not be destroyed, and the nodes that try it again. */
  readonly undestroyed = new Map<string, SimulatedNode>()
  isClosed = false

  constructor(scene: Scene, actors: Actors, features: BrowserFeatures, nodes: readonly SimulatedNode[]) {
    this.world = scene.world
    this.scene = scene
    this.actors = actors
    this.features = features
    this.#nodes = nodes
    this.#moves = new Moves(scene.world, scene.model)
    scene.model.onStored = (sid, text) => this.#moves.stored(sid, text)
  }

  latency(): number {
    const { random, faulty } = this.world
    return random.below(faulty && random.chance(0.1) ? 200 : 3)
  }

  pickNode(): SimulatedNode | undefined {
    const nodes = this.#nodes.filter(({ dead, closing }) => !dead && !closing)
    return nodes.length > 0 ? this.world.random.pick(nodes) : undefined
  }

  perform(operation: Operation): void {
    const { world } = this
    const browser = this.#browserOf(operation)
    const tab = browser.tabs[operation.socket % (browser.tabs.length || 1)]
    switch (operation.do) {
      case 'tab':
        browser.open(world.random.chance(this.features.polling))
        break
      case 'cut':
        tab?.cut(operation.first ? this.latency() : operation.duration)
        break
      case 'say':
        tab?.say(operation)
        break
      default:
        browser.send(operation)
    }
  }

  #browserOf({ session }: Operation): Browser {
    let browser = this.#browsers[session]
    if (!browser) {
      browser = new Browser(this, `browser ${session}`)
      this.#browsers[session] = browser
    }
    return browser
  }

  /** The process of a node has ended. */
  ended(node: SimulatedNode): void {
    for (const [response, server] of this.responses) if (server === node) this.world.as(node, () => response.abort())
    for (const { tabs } of this.#browsers.filter(Boolean)) for (const tab of tabs) if (tab.node === node) tab.lost()
  }

  /** All faults are over: each browser sends a request, which shows that its sessions are those of one browser. */
  visit(): void {
    const edits = { push: true, key: false, sum: false, remove: false }
    for (const browser of this.#browsers) browser?.send({ do: 'visit', edits, duration: 0, first: true } as Operation)
  }

  /** Some time after that. */
  atRest(): void {
    const { world, scene } = this
    const { maxAge, nodes, bus, losesMessages } = scene.profile
    // A tab whose session is in no store yet hears of another one only by the bus.
    const isTold = nodes === 1 || (bus !== 'none' && !losesMessages)
    this.#moves.atRest()
    for (const browser of this.#browsers) {
      if (!browser) continue
      const sid = browser.visited
      const isThere = sid !== undefined && scene.database.find(sid) !== undefined
      for (const tab of browser.tabs) {
        // Or its session may have ended just now.
        if (!tab.isConnected && maxAge > 60_000) world.violate(`a tab of ${browser.name} is not connected in the end`)
        const found = tab.client?.sid ?? ''
        // As long as no request has found it in the store, another node may not know it, and give the browser another one.
        const isKnown = nodes === 1 || browser.found.has(found)
        // Nobody tries it again when that process has ended.
        const node = this.undestroyed.get(found)
        const isLeft = node !== undefined && (node.dead || node.closing)
        if (isThere && isTold && isKnown && found !== sid && !isLeft && !scene.model.of(sid).isDisturbed)
          world.violate(`a tab of ${browser.name} has session ${found} in the end, and its requests have session ${sid}`)
      }
    }
  }

  /** The tabs are closed. */
  close(): void {
    this.isClosed = true
    for (const { tabs } of this.#browsers.filter(Boolean)) for (const tab of tabs) tab.close()
  }

  /** @returns the session that the data of this one was moved to */
  end(sid: string): string {
    return this.#moves.end(sid).sid
  }
}

export class Browser {
  readonly host: Browsers
  readonly name: string
  readonly jar = new CookieJar()
  readonly tabs: Tab[] = []
  /** The session of the last request that was answered. */
  visited: string | undefined
  /** The sessions that its requests have found in the store, or saved. */
  readonly found = new Set<string>()
  readonly #waiting: Operation[] = []
  #isBusy = false

  constructor(host: Browsers, name: string) {
    this.host = host
    this.name = name
  }

  open(polls: boolean): void {
    const tab = new Tab(this, polls)
    this.tabs.push(tab)
    tab.connect()
  }

  /** Something of this browser has got that session. */
  owns(sid: string, what: string): void {
    const { owners, world } = this.host
    const owner = owners.get(sid) ?? this
    owners.set(sid, owner)
    if (owner !== this) world.violate(`${what} of ${this.name} has session ${sid} of ${owner.name}`)
  }

  /**
   * Sends a request, when the one before was answered. Of two at once the one that is answered last decides which session cookie the browser has,
   * as without this package, and its tabs may have the other session.
   */
  send(operation: Operation): void {
    this.#waiting.push(operation)
    this.#sendNext()
  }

  #sendNext(): void {
    const operation = this.#isBusy ? undefined : this.#waiting.shift()
    if (!operation) return
    this.#isBusy = true
    this.#send(operation)
  }

  /** A request was answered, or lost. */
  #over(): void {
    this.#isBusy = false
    this.#sendNext()
  }

  /** Sends a request to any node. */
  #send(operation: Operation): void {
    const { host, jar } = this
    const { world } = host
    const node = host.pickNode()
    if (!node) {
      this.#over()
      return
    }
    const request = requestWith(jar.header)
    const cookies = cookiesIn(jar.header)
    world.after(host.latency(), node, `${operation.do} of ${this.name} with ${cookies}`, () => {
      if (node.dead || node.closing) this.#over()
      else this.#arrive(node, request, operation)
    })
  }

  #arrive(node: SimulatedNode, request: WebRequest, operation: Operation): void {
    const { host, jar } = this
    const { world, scene } = host
    const { model, jobs } = scene
    const since = world.steps
    const job = jobs.begin(operation.do, node)
    // Until its head has arrived, and it has ended.
    let left = 1
    const overOnce = (): void => {
      if (--left === 0) this.#over()
    }
    const response = new WebResponse((lines) => {
      left++
      world.after(host.latency(), undefined, 'response arrives', () => {
        jar.accept(lines)
        world.log(`${this.name} has the cookies ${cookiesIn(jar.header)}`)
        overOnce()
      })
    })
    const { responses } = host
    responses.set(response, node)
    response.once('close', () => {
      responses.delete(response)
      this.#noteFound(request)
      overOnce()
      jobs.end(job)
    })
    serve(node, request, response, (error) => {
      if (response.destroyed) return
      const { session, sessionID: sid = '' } = request
      if (error || !session) {
        world.log(`${operation.do} of ${this.name} failed`)
        response.end()
        return
      }
      world.log(`${operation.do} of ${this.name} has ${sid}`)
      this.owns(sid, 'a request')
      this.#noteFound(request)
      if (model.of(sid).isStored && model.of(sid).movedTo === undefined) model.read(sid, session, since, 'a request of a browser')
      world.after(operation.duration, node, 'request goes on', () => {
        if (response.destroyed) return
        if (operation.do === 'signIn') this.#signIn(node, request, response, operation)
        else if (operation.do === 'signOut') this.#signOut(node, request, response)
        else this.#write(request, response, operation)
      })
    })
  }

  #noteFound({ sessionID: sid = '' }: WebRequest): void {
    if (this.host.scene.model.of(sid).isStored) this.found.add(sid)
  }

  #write(request: WebRequest, response: WebResponse, { edits, first }: Operation): void {
    const { session, sessionID: sid = '' } = request
    const { scene } = this.host
    if (!session) {
      response.end()
      return
    }
    const write = scene.model.begin(sid, { ...edits, sum: false })
    scene.model.apply(write, session)
    // Or express-session saves it at the end, and the response may leave before that.
    if (!first) {
      response.end()
      return
    }
    session.save((error) => {
      if (!error) {
        this.visited = this.host.end(sid)
        scene.model.acknowledge(write, scene.database.find(sid)?.text, true)
      }
      response.end()
    })
  }

  /** As Passport does: the user is in another session from then on. */
  #signIn(node: SimulatedNode, request: WebRequest, response: WebResponse, { edits }: Operation): void {
    const { sessionID: before = '' } = request
    const { scene, actors, world } = this.host
    const { model, database } = scene
    request.session?.regenerate((error) => {
      const { session, sessionID: sid = '' } = request
      if (error) this.host.undestroyed.set(before, node)
      if (error || node.dead || !session) return response.end()
      actors.endedHere(node, before)
      this.owns(sid, 'a request')
      const write = model.begin(sid, { push: true, key: edits.key })
      model.apply(write, session)
      session.user = this.name
      session.save((failed) => {
        world.log(`signIn of ${this.name} has ${sid}`)
        if (!failed) model.acknowledge(write, database.find(sid)?.text)
        response.end()
      })
    })
  }

  #signOut(node: SimulatedNode, request: WebRequest, response: WebResponse): void {
    const { sessionID: sid = '' } = request
    request.session?.destroy((error) => {
      if (!error && !node.dead) this.host.actors.endedHere(node, sid)
      response.end()
    })
  }
}
