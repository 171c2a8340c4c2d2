import { EventEmitter } from 'node:events'
import type { Session, SessionData } from 'express-session'
import type { Database } from './database.js'
import { hold } from './globals.js'
import type { Jobs } from './jobs.js'
import { changes, type Model, type Write } from './model.js'
import type { SimulatedNode } from './node.js'
import type { Operation } from './plan.js'
import type { Profile } from './profile.js'
import type { SimulatedConnection, SimulatedSocket } from './socket.js'
import { SocketClient } from './sockets.js'
import type { World } from './world.js'

/** A response that has left when it says so. */
class SimulatedResponse extends EventEmitter {
  headersSent = false
  writableFinished = false
  setsCookie = false

  getHeader(name: string): unknown {
    return name === 'set-cookie' && this.setsCookie ? ['connect.sid=...'] : undefined
  }

  finish(): void {
    this.headersSent = true
    this.writableFinished = true
    this.emit('finish')
    this.emit('close')
  }
}

interface Request {
  sessionID: string
  session?: Session
  sessionStore: object
  headers: object
  res: SimulatedResponse
}

/** What the actors act in. */
export interface Scene {
  readonly world: World
  readonly profile: Profile
  readonly model: Model
  readonly database: Database
  readonly jobs: Jobs
  readonly sockets: SocketClient[]
  /** The sessions in the clients' cookies. */
  readonly sids: string[]
}

type StoreMethods = {
  get(sid: string, callback: (error: unknown, data?: SessionData | null) => void): void
  set(sid: string, session: object, callback: (error?: unknown) => void): void
  touch(sid: string, session: object, callback: (error?: unknown) => void): void
  destroy(sid: string, callback: (error?: unknown) => void): void
  generate(request: object): void
  regenerate(request: object, callback: (error?: unknown) => void): void
  createSession(request: object, data: SessionData): Session
}

/** Requests, sockets and callers of `update()`: each does what one operation says. */
export class Actors {
  readonly #simulation: Scene

  constructor(simulation: Scene) {
    this.#simulation = simulation
  }

  /** A browser that has no session, or that has lost it, logs in. */
  login(node: SimulatedNode, operation: Operation): void {
    const { model, world, jobs } = this.#simulation
    const store = this.#store(node)
    const request = this.#request(node, '')
    store.generate(request)
    const session = request.session as Session
    const write = model.begin(session.id, { push: true, sum: operation.edits.sum })
    model.apply(write, session)
    const job = jobs.begin('login', node)
    store.set(session.id, session, (error) => {
      if (!jobs.end(job)) return
      world.log(`login ${session.id} ${error ? 'failed' : 'done'}`)
      request.res.setsCookie = true
      request.res.finish()
      if (error) return
      this.#acknowledge(write)
      this.#simulation.sids[operation.session] = session.id
    })
  }

  /** A request that reads the session and changes it, or only uses it. */
  request(node: SimulatedNode, sid: string, operation: Operation): void {
    const { world, model } = this.#simulation
    this.#load(node, sid, 'request', (request, session, end) => {
      const isIdle = operation.do === 'idle'
      const write = isIdle ? undefined : model.begin(sid, operation.edits)
      world.after(operation.duration, node, 'request goes on', () => {
        if (node.dead) {
          request.res.finish()
          end()
          return
        }
        if (write) model.apply(write, session)
        const isChanged = write !== undefined && changes(write)
        session.touch()
        const answered = (error?: unknown): void => {
          const isAnswered = end()
          if (isAnswered) world.log(`request ${sid} ${error ? 'failed' : 'done'}`)
          request.res.finish()
          if (!isAnswered) return
          if (!error && write && isChanged) this.#acknowledge(write)
        }
        const store = this.#store(node)
        if (isChanged) store.set(sid, session, answered)
        else store.touch(sid, session, answered)
      })
    })
  }

  update(node: SimulatedNode, sid: string, operation: Operation): void {
    const { model, world, jobs } = this.#simulation
    const write = model.begin(sid, { ...operation.edits, remove: false }, true)
    const since = world.steps
    const job = jobs.begin(`update ${sid}`, node)
    node.manager
      .update(sid, (draft) => model.apply(write, draft as Record<string, any>))
      .then(
        (data) => {
          if (!jobs.end(job)) return
          model.read(sid, data, since, 'the result of an update')
          this.#acknowledge(write)
        },
        (error: { code?: string }) => {
          if (!jobs.end(job)) return
          world.log(`update ${sid} failed ${error.code}`)
          if (error.code === 'SESSION_NOT_FOUND') this.#mustBeGone(sid, 'an update')
        },
      )
  }

  /** A request logs out, a socket does, or code that knows the id. */
  destroy(node: SimulatedNode, sid: string, operation: Operation, socket: SocketClient | undefined): void {
    const { jobs, world } = this.#simulation
    const job = jobs.begin(`destroy ${sid}`, node)
    const release = socket && hold(socket.member.replica)
    const done = (error?: unknown): void => {
      release?.()
      if (!jobs.end(job)) return
      world.log(`destroy ${sid} ${error ? 'failed' : 'done'}`)
      if (!error) this.endedHere(node, sid)
    }
    if (socket && operation.first && socket.sid === sid && socket.isOpen) socket.session.destroy(done)
    else this.#store(node).destroy(sid, done)
  }

  regenerate(node: SimulatedNode, sid: string, operation: Operation): void {
    const { world, model, sids } = this.#simulation
    this.#load(node, sid, 'regenerate', (request, session, end) => {
      const { items: _items, keys: _keys, sum: _sum, n: _n } = session as unknown as Record<string, unknown>
      const store = this.#store(node)
      store.regenerate(request, (error) => {
        if (error || node.dead) {
          request.res.finish()
          end()
          return
        }
        this.endedHere(node, sid)
        const next = request.session as Session
        const write = model.begin(next.id, { push: true })
        model.apply(write, next)
        store.set(next.id, next, (failed) => {
          if (!end()) {
            request.res.finish()
            return
          }
          request.res.setsCookie = !failed
          world.after(operation.duration % 300, node, 'response', () => request.res.finish())
          if (failed) return
          this.#acknowledge(write)
          sids[operation.session] = next.id
        })
      })
    })
  }

  connect(node: SimulatedNode, sid: string, operation: Operation): void {
    const { world, jobs, model, sockets, database } = this.#simulation
    const hasCookie = operation.edits.push || operation.edits.key || operation.first
    const conn = node.connection(hasCookie ? sid : undefined)
    const since = world.steps
    const wasStored = model.of(sid).isStored && !model.of(sid).ended
    const job = jobs.begin(`handshake ${sid}`, node)
    const connect = async (): Promise<void> => {
      if (operation.second) {
        await node.prepare(conn).catch(() => undefined)
        if (operation.duration < 1000 && operation.duration > 0)
          await new Promise<void>((resolve) => world.after(operation.duration, node, 'namespace', resolve))
      }
      const socket = await node.connect(conn)
      if (!jobs.end(job)) return conn.close()
      world.log(`connected ${sid} ${socket?.id}`)
      // `close()` has taken the session away from a socket that was connecting.
      if (!socket || (node.closing && !node.memberOf(socket))) return conn.close()
      const client = new SocketClient(world, model, database, node, socket, operation.edits.sum || operation.first)
      sockets.push(client)
      if (!hasCookie) return
      if (client.sid !== sid) {
        if (wasStored && !model.of(sid).ended) world.violate(`a handshake with the cookie of session ${sid} got another one`)
        // While a save is under way, what a handshake has read may be older than that: it shows when the save is answered.
      } else if (client.isReloading && !client.isInDoubt && (operation.edits.remove || operation.edits.sum))
        model.read(sid, client.data(), since, 'a socket that has connected')
    }
    connect().catch((error) => {
      if (!jobs.end(job)) return
      this.#refused(error)
      conn.close()
    })
  }

  /** A page connects. @param then gets its socket, or why it was refused; nothing where its connection is closed */
  connectPage(
    node: SimulatedNode,
    conn: SimulatedConnection,
    auth: object,
    then: (client: SocketClient | undefined, error?: Error) => void,
  ): void {
    const { world, jobs, model, sockets, database } = this.#simulation
    const job = jobs.begin('page', node)
    const connect = async (): Promise<void> => {
      await node.prepare(conn).catch(() => undefined)
      const onSocket = (socket: SimulatedSocket): void => {
        if (!node.memberOf(socket)) return
        const client = new SocketClient(world, model, database, node, socket, false)
        sockets.push(client)
        then(client)
      }
      const socket = await node.connect(conn, auth, onSocket)
      if (!jobs.end(job)) return conn.close()
      world.log(`page connected ${socket?.id}`)
      if (!socket || !node.memberOf(socket)) conn.close()
    }
    connect().catch((error) => {
      if (!jobs.end(job)) return
      this.#refused(error)
      then(undefined, error)
      conn.close()
    })
  }

  reload(client: SocketClient): void {
    const { world, jobs, model } = this.#simulation
    const since = world.steps
    const job = jobs.begin('reload', client.node)
    const release = hold(client.member.replica)
    client.session.reload((error?: { code?: string }) => {
      release()
      if (!jobs.end(job)) return
      world.log(`reload ${error?.code ?? 'done'}`)
      // While the outcome of a save is not known, nothing of others is merged.
      if (!error && !client.isIndeterminate && model.of(client.sid).isStored)
        model.read(client.sid, client.data(), since, 'a socket that has reloaded')
    })
  }

  #load(
    node: SimulatedNode,
    sid: string,
    what: string,
    then: (request: Request, session: Session, end: () => boolean) => void,
  ): void {
    const { world, model, jobs } = this.#simulation
    const request = this.#request(node, sid)
    const since = world.steps
    const job = jobs.begin(`${what} ${sid}`, node)
    this.#store(node).get(sid, (error, data) => {
      if (jobs.isLost(job)) return
      if (error || !data) {
        jobs.end(job)
        world.log(`${what} ${sid} ${error ? 'failed' : 'finds nothing'}`)
        request.res.finish()
        if (!error) this.#mustBeGone(sid, 'a request')
        return
      }
      model.read(sid, data, since, 'a request')
      const session = this.#store(node).createSession(request, data)
      then(request, session, () => jobs.end(job))
    })
  }

  #refused(error: { code?: string } | undefined): void {
    const { world } = this.#simulation
    world.log(`refused ${error?.code}`)
    if (error instanceof TypeError || error instanceof ReferenceError)
      world.violate(`a handshake was refused by a mistake: ${error}`, error)
  }

  #mustBeGone(sid: string, reader: string): void {
    const { model, world, database } = this.#simulation
    const session = model.of(sid)
    if (session.isStored && !session.ended && !session.isDisturbed && database.find(sid))
      world.violate(`${reader} does not find session ${sid}`)
  }

  /** This node knows that the session has ended: so do its sockets. */
  endedHere(node: SimulatedNode, sid: string): void {
    this.#simulation.model.destroyed(sid)
    // After `close()` its sockets have no session.
    if (node.closing) return
    for (const client of this.#simulation.sockets) {
      if (client.node === node && client.sid === sid && client.isOpen && !client.notified)
        this.#simulation.world.violate(`a socket was not told that session ${sid} has ended on its node`)
    }
  }

  #acknowledge(write: Write): void {
    this.#simulation.model.acknowledge(write, this.#simulation.database.find(write.sid)?.text)
  }

  #store(node: SimulatedNode): StoreMethods {
    return node.store as unknown as StoreMethods
  }

  #request(node: SimulatedNode, sid: string): Request {
    return { sessionID: sid, sessionStore: node.store, headers: {}, res: new SimulatedResponse() }
  }
}
