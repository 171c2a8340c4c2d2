import { apply as applyPatches, type Patch } from '../../src/document/patch.js'
import type { SessionReplica } from '../../src/session/replica.js'
import type { SocketMember } from '../../src/socket/socket-member.js'
import { getOrInsert } from '../../src/util/maps.js'
import type { Database } from './database.js'
import { hold } from './globals.js'
import { type Item, type Model, nameOf, type Write } from './model.js'
import type { SimulatedNode } from './node.js'
import type { Operation } from './plan.js'
import type { SimulatedSocket } from './socket.js'
import type { World } from './world.js'

/** By node and session. Not by replica: a handler whose socket has gone writes to that of the sockets that have come since. */
const writers = new WeakMap<SimulatedNode, Map<string, Set<SocketClient>>>()

interface Change {
  patches: Patch[]
}

/** A client with an open socket: what it was shown, and what it was promised. */
export class SocketClient {
  readonly node: SimulatedNode
  readonly socket: SimulatedSocket
  readonly member: SocketMember
  readonly sid: string
  /** The session has ended, and its `session:destroyed` came. */
  notified = false
  /** May it write to the sum? */
  sums = true
  /** What a client keeps that applies each change to what it had at first. Only of one that does not write. */
  mirror: Record<string, unknown> | undefined
  /** The replica that its session is a view of. Its member's, unless it first looked at the session when it had left. */
  #viewed: SessionReplica | undefined
  readonly #world: World
  readonly #model: Model
  readonly #database: Database
  /** What it has written, as far as that must not come back as a change. */
  readonly #own = new Map<string, Write>()
  /** Its list came to be the others': it hears what was in its own, and what it adds to that before the next save. */
  #isToldAnew = false
  /** Acks, in the order in which handlers have called them. */
  readonly #called: number[] = []
  readonly #writes = new Map<number, Write>()
  #ids = 0
  /** How many of its handlers have not ended. */
  #handlers = 0
  /** End the references of these to replicas other than their member's. */
  #held: (() => void)[] = []
  /** How many of its saves have failed because something may be lost. */
  #reported = 0

  constructor(world: World, model: Model, database: Database, node: SimulatedNode, socket: SimulatedSocket, listens: boolean) {
    const member = node.memberOf(socket) as SocketMember
    this.#world = world
    this.#model = model
    this.#database = database
    this.node = node
    this.socket = socket
    this.member = member
    this.sid = member.replica.sid
    socket.onAckSent = (id) => this.#onAck(id)
    socket.on('session:destroyed', () => {
      if (!node.dead && this.notified) world.violate(`a socket was told twice that session ${this.sid} has ended`)
      this.notified = true
    })
    socket.on('session:error', (error: { code: string }) => {
      world.log(`session:error ${error.code}`)
      if (error.code !== 'OUTCOME_UNKNOWN') return
      // What was not acknowledged may be lost, and may turn out to be in the store.
      for (const [token, { acknowledged }] of this.#own) if (acknowledged === Number.POSITIVE_INFINITY) this.#own.delete(token)
    })
    socket.on('write', (operation: Operation, write: Write, ack?: (id: number) => void) => this.#handle(operation, write, ack))
    if (listens) {
      socket.on('session:changed', (change: Change) => this.#onChange(change))
      // What is on its way to the store is told when it is there.
      if (this.isReloading && !this.hasUnsaved) this.mirror = this.stored()
    }
  }

  get isOpen(): boolean {
    return !this.node.dead && this.socket.connected
  }

  /** Does it see at once what others write? */
  get isReloading(): boolean {
    return this.node.manager.options.onChange === 'reload'
  }

  get session(): Record<string, any> {
    const session = this.member.replica.view(this.member) as unknown as Record<string, any>
    this.#viewed ??= this.node.manager.registry.get(this.sid) ?? this.member.replica
    return session
  }

  /** Is there something that is not in the store, as far as is known here? */
  get hasUnsaved(): boolean {
    const { replica } = this.member
    if (replica.writeCount === 0) return false
    const { requestedSeq, savedSeq } = replica.saveQueue
    return replica.saving || requestedSeq > savedSeq || replica.document.hasChanges()
  }

  /** What it knows of the store. */
  stored(): Record<string, unknown> {
    return this.member.replica.document.base() as Record<string, unknown>
  }

  /** Is it not known whether the last save of its session has happened? */
  get isInDoubt(): boolean {
    return this.node.manager.committer.isBusy(this.sid) || this.isIndeterminate
  }

  /** The same, where that keeps what others write from being merged. */
  get isIndeterminate(): boolean {
    return this.member.replica.activate().transaction.isIndeterminate
  }

  /** What its handlers see. */
  data(): Record<string, unknown> {
    const { cookie: _, ...data } = JSON.parse(JSON.stringify(this.session))
    return data
  }

  /** Has another socket of its node written to the session? It may have left since. */
  #hasCoauthors(): boolean {
    return this.#coauthors().size > 1
  }

  #coauthors(): Set<SocketClient> {
    const bySession = getOrInsert(writers, this.node, () => new Map<string, Set<SocketClient>>())
    return getOrInsert(bySession, this.sid, () => new Set())
  }

  /** The client sends an event. */
  send(operation: Operation): void {
    const { edits } = operation
    const write = this.#model.begin(this.sid, this.sums ? edits : { ...edits, sum: false })
    this.#world.log(`event ${this.socket.id} ${this.sid} write ${write.number}`)
    for (const token of [write.item, write.key]) if (token !== undefined) this.#own.set(token, write)
    this.mirror = undefined
    const id = operation.first || operation.second ? ++this.#ids : undefined
    if (id !== undefined) this.#writes.set(id, write)
    this.socket.onevent({ ...(id !== undefined && { id }), data: ['write', operation, write] })
  }

  #handle({ duration, second }: Operation, write: Write, ack: ((id: number) => void) | undefined): void {
    const id = ack && this.#idOf(write)
    const reportedBefore = this.#reported
    const finish = (): void => {
      const isAnswered = id !== undefined && this.isOpen
      if (!isAnswered && !this.member.autoSave && !this.node.dead) {
        this.#save(() => {
          // The handlers of a socket share what its `save()` reports.
          if (this.#reported === reportedBefore) this.#acknowledge(write)
        })
      }
      if (!isAnswered) return
      if (this.member.autoSave) {
        this.#called.push(id)
        ack?.(id)
        return
      }
      this.#save(() => {
        if (!this.isOpen) return
        this.#called.push(id)
        ack?.(id)
      })
    }
    const isAsync = duration > 0 && duration < 300
    const release = isAsync ? this.#holdReplica() : undefined
    if (isAsync && second) {
      // Writes after a pause; the event was accepted before the session may have ended.
      this.#world.after(duration, this.node, 'handler', () => {
        release?.()
        if (this.node.dead || this.node.closing) return
        this.#write(write)
        finish()
      })
      return
    }
    this.#write(write)
    if (!isAsync) {
      finish()
      return
    }
    this.#world.after(duration, this.node, 'handler', () => {
      release?.()
      finish()
    })
  }

  #save(succeeded: () => void): void {
    this.session.save((error?: { code: string }) => {
      if (error?.code === 'OUTCOME_UNKNOWN') this.#reported++
      if (!error && !this.node.dead) succeeded()
    })
  }

  /** A handler that has not ended refers to its session. @returns ends that */
  #holdReplica(): () => void {
    const release = hold(this.member.replica)
    this.#handlers++
    return () => {
      release()
      if (--this.#handlers > 0) return
      for (const end of this.#held) end()
      this.#held = []
    }
  }

  #write(write: Write): void {
    this.#coauthors().add(this)
    this.#model.apply(write, this.session)
    if (this.#viewed && this.#viewed !== this.member.replica && this.#handlers > 0) this.#held.push(hold(this.#viewed))
    if (write.removes !== undefined) this.#own.set(`-${write.removes}`, write)
    this.#mustBeShared(write)
  }

  /** A handler whose socket has gone writes to the session that the others of its node have. */
  #mustBeShared({ number, item, key }: Write): void {
    const live = this.node.manager.registry.get(this.sid)
    if (this.isOpen || this.node.closing || !live || this.member.replica.ended || this.#viewed?.ended) return
    const token = item ?? key
    if (token !== undefined && !live.document.json().includes(`"${token}"`))
      this.#world.violate(`the late write ${number} is not in what the other sockets have of session ${this.sid}`)
  }

  #idOf(write: Write): number {
    for (const [id, each] of this.#writes) if (each === write) return id
    throw new Error('an ack without a write')
  }

  #onAck(id: number): void {
    if (this.node.dead) return
    const world = this.#world
    world.log(`ack ${id} ${this.sid}`)
    const position = this.#called.indexOf(id)
    // Those before it are not sent any more: their saves have failed.
    if (position < 0) world.violate(`ack ${id} left before others that were called earlier, or twice`)
    this.#called.splice(0, position + 1)
    const write = this.#writes.get(id)
    if (write) this.#acknowledge(write)
  }

  #acknowledge(write: Write): void {
    this.#model.acknowledge(write, this.#database.find(this.sid)?.text)
  }

  #onChange({ patches }: Change): void {
    if (this.node.dead) return
    const world = this.#world
    world.log(`session:changed ${this.socket.id} ${this.sid} ${patches.length}`)
    const isToldAnew = this.#isToldAnew
    if (this.notified) world.violate(`a change came after the end of session ${this.sid}`)
    for (const { op, path, value } of patches as { op: string; path: (string | number)[]; value?: unknown }[]) {
      // Both sides have made the container: it becomes the others', and what was in this socket's is told anew.
      const isItem = path[0] === 'items'
      if (path.length === 1 && typeof value === 'object') {
        const inIt = [...this.#own.keys()].filter((token) => token.startsWith('i') === isItem)
        this.#isToldAnew ||= isItem && inIt.length > 0
        for (const token of inIt) this.#own.delete(token)
      }
      const token = isItem && path.length === 2 && value ? nameOf(value as Item) : path[0] === 'keys' ? String(path[1]) : ''
      // The authors of a list are known for the list as a whole.
      if ((isItem && this.#hasCoauthors()) || !this.isReloading) continue
      const own = this.#own.get(op === 'remove' ? `-${token}` : token)
      // Another socket's removal of it was lost.
      if (op !== 'remove' && this.#model.of(this.sid).removals.has(token)) continue
      // What a late write has undone where the store cannot compare comes as a change when it is restored.
      const { disturbedUpTo, undoneKeys } = this.#model.of(this.sid)
      // All hear that it has taken a key away, also a socket that has removed the key later, before it knew.
      const isTakenAway = op === 'remove' && undoneKeys.has(token)
      const isDisturbed = own && (own.number <= disturbedUpTo || isTakenAway)
      if (own && isItem && isToldAnew) this.#isToldAnew = false
      else if (own && !isDisturbed) world.violate(`a socket hears its own write ${op} ${token} of session ${this.sid}`)
    }
    if (this.mirror) this.mirror = applyPatches(this.mirror as never, patches) as Record<string, unknown>
  }
}
