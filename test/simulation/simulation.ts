import { equal } from '../../src/document/json.js'
import { Actors, type Scene } from './actors.js'
import { Browsers } from './browsers.js'
import { BusHub } from './bus.js'
import { CommitLog, commitLog } from './commit-log.js'
import { Database } from './database.js'
import { type Features, FIRST_SEED_OF_LISTS, featuresOf, withMoreOperations } from './features.js'
import { collector, enter } from './globals.js'
import { Jobs } from './jobs.js'
import { Model } from './model.js'
import { SimulatedAdapters } from './namespace.js'
import { SimulatedNode } from './node.js'
import { Pages } from './pages.js'
import { type Operation, planOf } from './plan.js'
import { type Profile, profileOf } from './profile.js'
import { Random } from './random.js'
import { FIRST_SEED_OF_RARE_ORDERS, rareOrderOf } from './rare.js'
import { FIRST_SEED_OF_ROUNDS, roundsOf, roundsProfileOf } from './rounds.js'
import type { SocketClient } from './sockets.js'
import { World } from './world.js'

/** Steps in which everything has to come to rest once the faults are over. */
const MOST_STEPS = 100_000
/** ms after the last operation until the faults stop, and until everything has to be at rest then. */
const REST = 30_000

export interface Outcome {
  seed: number
  /** What was found to be wrong. */
  violation: string | undefined
  digest: number
  steps: number
  /** When it ended, in ms of the simulation. */
  now: number
  operations: number
  log: string[] | undefined
  plan: Operation[]
  profile: Profile
  /** What happened to the commits, where that is wanted. */
  commits: CommitLog | undefined
}

/** What a simulation is made of. The plan is a part of it, so that operations can be taken out. */
export function prepare(seed: number, count: number): { profile: Profile; plan: Operation[] } {
  const random = new Random(seed)
  if (seed >= FIRST_SEED_OF_LISTS)
    return prepare((seed % FIRST_SEED_OF_ROUNDS) + (seed % 2 === 0 ? FIRST_SEED_OF_ROUNDS : 0), count)
  if (seed >= FIRST_SEED_OF_RARE_ORDERS) return rareOrderOf(new Random(seed % FIRST_SEED_OF_RARE_ORDERS), count)
  if (seed >= FIRST_SEED_OF_ROUNDS && !featuresOf(seed)) {
    const profile = roundsProfileOf(random)
    return { profile, plan: roundsOf(random, count, profile) }
  }
  const profile = profileOf(random)
  const plan = planOf(random, count, profile)
  const features = featuresOf(seed)
  if (!features) return { profile, plan }
  // A session that ends while its first write is on its way may be written after that.
  if (features.browsers) profile.maxAge = Math.max(profile.maxAge, 20_000)
  return { profile, plan: withMoreOperations(seed, plan, profile, features) }
}

/** One cluster, its clients and what becomes of them. */
export class Simulation implements Scene {
  readonly world: World
  readonly profile: Profile
  readonly model: Model
  readonly database: Database
  readonly hub: BusHub
  readonly jobs: Jobs
  readonly nodes: SimulatedNode[] = []
  readonly sockets: SocketClient[] = []
  /** The sessions in the clients' cookies. */
  readonly sids: string[] = []
  readonly #actors: Actors
  readonly #features: Features | undefined
  readonly #pages: Pages | undefined
  readonly #browsers: Browsers | undefined
  readonly #adapters: SimulatedAdapters | undefined
  #started = 0

  constructor(world: World, profile: Profile, features?: Features, removesItems = false) {
    this.#features = features
    this.world = world
    this.profile = profile
    this.model = new Model(world, profile.store === 'plain', removesItems)
    this.database = new Database(world, profile, this.model)
    this.hub = new BusHub(world, profile)
    this.database.publish = ({ topic, text }, from) => this.hub.publish(topic, text, from)
    this.jobs = new Jobs(world)
    this.#actors = new Actors(this)
    if (features?.pages) this.#pages = new Pages(this, this.#actors, features.pages, this.nodes)
    if (features?.browsers) {
      this.#adapters = new SimulatedAdapters(world, features.browsers)
      this.#browsers = new Browsers(this, this.#actors, features.browsers, this.nodes)
    }
    for (let index = 0; index < profile.nodes; index++) this.#start(index)
  }

  #start(index: number): void {
    const name = `n${index}${'abcdefghijklmnopqrstuvwxyz'[this.#started++ % 26]}`
    this.nodes[index] = new SimulatedNode(name, this.database, this.hub, this.profile, this.#features, this.#adapters)
  }

  run(seed: number, plan: readonly Operation[]): void {
    const { world } = this
    for (const operation of plan) {
      world.after(operation.at, undefined, `operation ${operation.number} ${operation.do}`, () => {
        // What an operation meets does not depend on how much chance those before it have used: they can be taken out.
        world.random.restart(Math.imul(seed, 0x9e3779b1) ^ operation.number)
        this.#perform(operation)
      })
    }
    for (const { do: kind, at } of plan) if (kind === 'rest') this.#restBetween(at)
    const end = (plan.at(-1)?.at ?? 0) + 200
    this.#runUntil(end)
    this.#rest()
    this.#close()
  }

  #perform(operation: Operation): void {
    const { world } = this
    const node = this.nodes[operation.node] as SimulatedNode
    const sid = this.sids[operation.session]
    if (node.dead || node.closing || node.pausedUntil > world.now) return
    const own = this.sockets.filter((client) => client.isOpen && !client.node.closing)
    const client = own[operation.socket % (own.length || 1)]
    const isUsable = client && client.node.pausedUntil <= world.now
    world.as(node, () => {
      switch (operation.do) {
        case 'login': {
          const session = sid === undefined ? undefined : this.model.of(sid)
          if (sid === undefined || session?.ended) this.#actors.login(node, operation)
          return
        }
        case 'http':
        case 'idle':
          return sid === undefined ? undefined : this.#actors.request(node, sid, operation)
        case 'update':
          return sid === undefined ? undefined : this.#actors.update(node, sid, operation)
        case 'connect':
          return sid === undefined ? undefined : this.#actors.connect(node, sid, operation)
        case 'destroy':
          return sid === undefined
            ? undefined
            : this.#actors.destroy(node, sid, operation, client?.node === node ? client : undefined)
        case 'regenerate':
          return sid === undefined ? undefined : this.#actors.regenerate(node, sid, operation)
        case 'event':
          return client && isUsable ? world.as(client.node, () => client.send(operation)) : undefined
        case 'reload':
          // Without `autoSave` it discards what others have not saved.
          return client && isUsable && client.member.autoSave
            ? world.as(client.node, () => this.#actors.reload(client))
            : undefined
        case 'disconnect':
          return client && isUsable ? world.as(client.node, () => client.socket.conn.close()) : undefined
        case 'page':
          return this.#pages?.open(operation)
        case 'drop':
          return this.#pages?.drop(operation)
        case 'tab':
        case 'cut':
        case 'say':
        case 'visit':
        case 'signIn':
        case 'signOut':
          return world.as(undefined, () => this.#browsers?.perform(operation))
        case 'flush':
          return void node.manager.flush().catch(() => undefined)
        case 'kill':
          return this.profile.bus === 'node' && this.profile.revalidate === false ? undefined : this.#kill(node, operation)
        case 'close':
          return this.#closeInOrder(node, operation)
        case 'busDown':
          node.bus?.disconnect()
          return void world.after(operation.duration, node, 'bus is back', () => node.bus?.reconnect())
        case 'storeDown':
          this.database.downUntil = world.now + operation.duration
          return
        case 'pause':
          node.pausedUntil = world.now + operation.duration
          return
        case 'mute':
          this.database.mutedUntil.set(node, world.now + operation.duration)
          return
        case 'lag':
          this.database.laggingUntil.set(node, world.now + operation.duration)
          return
        case 'busSlow':
          if (node.bus) node.bus.slowUntil = world.now + operation.duration
          return
        case 'foreign':
          return sid === undefined ? undefined : this.database.writeWithoutHistory(sid)
        case 'leave':
          for (const each of own) world.as(each.node, () => each.socket.conn.close())
          return
        case 'rest':
          return
        case 'jump':
          world.skew += (operation.first ? 1 : -1) * operation.duration * (operation.second ? 1 : 10)
          return
      }
    })
  }

  #kill(node: SimulatedNode, operation: Operation): void {
    node.kill()
    this.model.killed()
    this.#pages?.ended(node)
    this.#browsers?.ended(node)
    this.world.after(operation.duration, undefined, 'node starts', () => this.#start(operation.node))
  }

  #closeInOrder(node: SimulatedNode, operation: Operation): void {
    const job = this.jobs.begin('close', node)
    node.close().then(() => {
      this.jobs.end(job)
      // What could not be saved until then may still be, and there is no bus any more that tells the others.
      for (const client of this.sockets) if (client.node === node && client.hasUnsaved) this.model.of(client.sid).isUntold = true
      // A process ends when its requests have. None begins after `close()`: the store is express-session's alone then.
      const isAlone = this.profile.store === 'plain'
      if (!isAlone) this.#start(operation.node)
      this.jobs.whenIdle(node, () => {
        node.dead = true
        // A destroy that the store has not answered by then is not repeated.
        this.model.killed()
        this.#pages?.ended(node)
        this.#browsers?.ended(node)
        if (isAlone) this.#start(operation.node)
      })
    })
  }

  /** The faults stop: everything that is known anywhere becomes what the store holds. */
  #rest(): void {
    const { world, profile, interval } = this
    this.#endFaults()
    this.#runUntil(world.now + REST + interval)
    for (const node of this.#alive()) world.as(node, () => void node.manager.flush().catch(() => undefined))
    this.#runUntil(world.now + 10_000 + interval)
    if (this.#browsers) {
      this.#browsers.visit()
      this.#runUntil(world.now + REST + interval)
    }
    if (profile.onChange === 'notify') {
      for (const client of this.sockets) if (client.isOpen) world.as(client.node, () => this.#actors.reload(client))
      this.#runUntil(world.now + 10_000)
    }
    if (world.violation) return
    this.#compareAll()
    this.#browsers?.atRest()
  }

  /** The end of a round: the same without a flush, and with faults afterwards. */
  #restBetween(at: number): void {
    const { world } = this
    this.#runUntil(at)
    this.#endFaults()
    this.#runUntil(world.now + REST + this.interval)
    if (world.violation) return
    this.#compareAll()
    if (this.profile.checksWrites && !world.violation) {
      this.#write()
      this.#runUntil(world.now + 10_000)
    }
    world.faulty = true
  }

  /** Nothing keeps a session from being written to. */
  #write(): void {
    for (const sid of this.sids) {
      if (!this.database.find(sid)) continue
      for (const node of this.#alive()) {
        const job = this.jobs.begin(`update ${sid}`, node)
        const written = (error?: Error): void => {
          this.jobs.end(job)
          if (error) this.world.violate(`session ${sid} cannot be written to: ${error}`)
        }
        this.world.as(node, () => {
          node.manager
            .update(sid, (draft) => this.model.apply(this.model.begin(sid, { key: true }), draft))
            .then(() => written(), written)
        })
      }
    }
  }

  /** ms until the next revalidation has been. */
  get interval(): number {
    const { revalidate } = this.profile
    return revalidate === false ? 0 : revalidate * 1.3
  }

  #endFaults(): void {
    const { world, database } = this
    world.faulty = false
    database.downUntil = 0
    database.mutedUntil.clear()
    database.laggingUntil.clear()
    for (const node of this.nodes) {
      node.pausedUntil = Math.min(node.pausedUntil, world.now)
      if (node.bus) node.bus.slowUntil = 0
      if (!node.dead) world.as(node, () => node.bus?.reconnect())
    }
  }

  #compareAll(): void {
    const { world, database } = this
    for (const sid of this.model.sessions.keys()) this.model.atRest(sid, database.find(sid)?.text)
    this.#pages?.atRest()
    const waiting = this.jobs.waiting()
    if (waiting.length > 0) world.violate(`not answered in the end: ${waiting}`)
    for (const client of this.sockets) if (client.isOpen) world.as(client.node, () => this.#compare(client))
  }

  #compare(client: SocketClient): void {
    const { sid, node, member } = client
    const session = this.model.of(sid)
    const row = this.database.find(sid)
    if (!session.isStored) return
    if (!row) {
      // A clock that went back by that much does not know yet that the session's life is over, nor where no revalidation was due since.
      if (this.world.skew < 0 || session.expired > this.world.now - this.interval) return
      this.world.violate(`a socket of session ${sid} on ${node.name} is alive, and the session has ended`)
      return
    }
    if (session.isUntold && this.profile.revalidate === false) return
    for (const other of this.sockets) {
      const isSame = other.node === node && other.sid === sid && other.isOpen
      if (isSame && other.member.replica !== member.replica) this.world.violate(`two sockets of session ${sid} have two states`)
    }
    const { cookie: _, ...stored } = JSON.parse(row.text)
    if (client.hasUnsaved) {
      // A save that was given up. It is known what the store holds, unless it may be that save.
      const known = client.stored()
      if (client.isIndeterminate && this.profile.answersAll)
        this.world.violate(`a save of a socket of session ${sid} on ${node.name} is in doubt, and the store has answered it`)
      if (!client.isInDoubt && member.replica.stored && !equal(known as never, stored))
        this.world.violate(
          `a socket of session ${sid} on ${node.name} knows ${JSON.stringify(known)}, and the store has ${JSON.stringify(stored)}`,
        )
      return
    }
    const seen = client.data()
    const differs = !equal(seen as never, stored)
    if (differs) {
      this.world.violate(
        `a socket of session ${sid} on ${node.name} sees ${JSON.stringify(seen)}, and the store has ${JSON.stringify(stored)}`,
      )
    } else if (client.mirror && !equal(client.mirror as never, stored)) {
      this.world.violate(
        `the changes that a socket of session ${sid} heard of lead to ${JSON.stringify(client.mirror)}, and the store has ${JSON.stringify(stored)}`,
      )
    }
  }

  /** All clients leave, and all nodes close: nothing is left. */
  #close(): void {
    const { world } = this
    if (world.violation) return
    this.#pages?.close()
    this.#browsers?.close()
    // Also those whose sockets the server has disconnected: a client that has no other namespace closes its connection.
    for (const { node, socket } of this.sockets) if (!node.dead) world.as(node, () => socket.conn.close())
    this.#runUntil(world.now + 15_000)
    if (world.violation) return
    for (const node of this.#alive()) {
      const topics = [...(node.bus?.topics.keys() ?? [])]
      if (topics.length > 0) world.violate(`${node.name} is still subscribed to ${topics.length} sessions without sockets`)
      const { sessions, sockets } = node.manager.stats()
      if (sessions + sockets > 0) world.violate(`${node.name} still has ${sessions} sessions and ${sockets} sockets`)
      world.as(node, () => void node.close())
    }
    this.#pages?.closed()
    if (!world.runUntil(Number.POSITIVE_INFINITY, MOST_STEPS, () => undefined)) world.violate('something goes on for ever')
  }

  /** After a violation: what the sources keep for all simulations of the process has to be as it was at first. */
  abandon(): void {
    const { world } = this
    world.isOver = true
    world.faulty = false
    for (const node of this.nodes) {
      node.pausedUntil = 0
      if (!node.dead) world.as(node, () => node.kill())
    }
    world.runUntil(Number.POSITIVE_INFINITY, MOST_STEPS, () => undefined)
  }

  #alive(): SimulatedNode[] {
    return this.nodes.filter(({ dead, closing }) => !dead && !closing)
  }

  #runUntil(moment: number): void {
    if (!this.world.runUntil(moment, MOST_STEPS, () => undefined)) this.world.violate(`no rest after ${MOST_STEPS} steps`)
  }
}

/** Runs one simulation. @param plan some of the seed's operations; omitted: all of them */
export function simulate(seed: number, count: number, keepsLog = false, plan?: Operation[], keepsCommits = false): Outcome {
  const { profile, plan: all } = prepare(seed, count)
  const operations = plan ?? all
  const world = new World(seed, keepsLog)
  enter(world)
  const commits = keepsCommits && profile.store === 'comparing' ? new CommitLog(world) : undefined
  commitLog.current = commits
  const gc = world.random.chance(0.5)
  collector.isCollected = (target) => gc && isForgotten(target)
  const unhandled = (error: unknown): void => world.violate(`an unhandled rejection: ${error}`, error)
  process.on('unhandledRejection', unhandled)
  let simulation: Simulation | undefined
  let outcome: { digest: number; steps: number; now: number; lines: string[] | undefined }
  try {
    world.log(JSON.stringify(profile))
    simulation = new Simulation(world, profile, featuresOf(seed), seed >= FIRST_SEED_OF_LISTS)
    simulation.run(seed, operations)
  } catch (error) {
    world.violate(`it threw ${error}`, error)
  } finally {
    outcome = { digest: world.digest, steps: world.steps, now: world.now, lines: world.lines?.slice() }
    if (world.violation) simulation?.abandon()
    process.off('unhandledRejection', unhandled)
    enter(undefined)
  }
  const { digest, steps, now, lines } = outcome
  return {
    seed,
    violation: world.violation?.message,
    digest,
    steps,
    now,
    operations: operations.length,
    log: lines,
    plan: operations,
    profile,
    commits,
  }
}

/** Does nobody refer to a replica any more? Those without sockets and without unsaved writes are collected at once. */
function isForgotten(target: object): boolean {
  const { members, saving, stored, writeCount, saveQueue } = target as {
    members?: { size: number }
    saving: boolean
    stored: boolean
    writeCount: number
    saveQueue: { requestedSeq: number; savedSeq: number }
  }
  if (members === undefined || members.size > 0 || saving || !stored || collector.held.get(target)) return false
  return writeCount === 0 || saveQueue.requestedSeq <= saveQueue.savedSeq
}
