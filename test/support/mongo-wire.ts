import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { BSON } from 'mongodb'
import { ChangeStreams } from './mongo-change-stream.js'
import { type Doc, failed, MongoCommands } from './mongo-commands.js'

export type { Doc }

const OP_REPLY = 1
const OP_QUERY = 2004
const OP_MSG = 2013
const HEADER = 16
/** The client wants no answer. */
const MORE_TO_COME = 2

interface Options {
  /** What the server takes itself for: 21 is MongoDB 7.0, 8 is 4.2, 7 is 4.0. @default 21 */
  wireVersion?: number
  /** Do its updates take pipelines? MongoDB 4.0 does not, nor do some servers of others. @default true */
  takesPipelines?: boolean
  /** A replica set of one server: it has change streams, and clients write what they send again in sessions, so that it happens once. @default false */
  isReplicaSet?: boolean
}

/**
 * A server of MongoDB's wire protocol in this process, for the commands that session stores use. It carries out one command at a time, as
 * MongoDB does for one document. It shows that the drivers use the protocol as it is meant, and not that MongoDB keeps its promises.
 */
export class MongoWireServer {
  readonly port: number
  /** The commands that have come, but for those that clients send by themselves. */
  readonly commands: Doc[] = []
  readonly data = new MongoCommands()
  readonly changeStreams = new ChangeStreams()
  readonly #server: Server
  readonly #options: Options
  readonly #sockets = new Set<Socket>()
  /** Answers to writes in a session, which a client may send again. */
  readonly #answers = new Map<string, Doc>()
  readonly #failures: { name: string; answer: Doc; isDone: boolean }[] = []

  private constructor(server: Server, options: Options) {
    this.#server = server
    this.#options = options
    this.port = (server.address() as AddressInfo).port
    this.data.onChange = (change) => this.changeStreams.record(change)
    server.on('connection', (socket) => this.#join(socket))
  }

  static async start(options: Options = {}): Promise<MongoWireServer> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new MongoWireServer(server, options)
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    this.changeStreams.break()
    await closed
  }

  /**
   * The next command of that name fails. @param answer fields of the answer, such as `code`
   * @param isDone it is carried out all the same
   */
  fail(name: string, answer: Doc, isDone = false): void {
    this.#failures.push({ name, answer, isDone })
  }

  /** All failures have happened. */
  get isSpent(): boolean {
    return this.#failures.length === 0
  }

  #join(socket: Socket): void {
    this.#sockets.add(socket)
    socket.setNoDelay()
    socket.on('error', () => undefined)
    socket.on('close', () => this.#sockets.delete(socket))
    let received = Buffer.alloc(0)
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      while (received.length >= HEADER && received.length >= received.readInt32LE(0)) {
        const length = received.readInt32LE(0)
        this.#answer(socket, received.subarray(0, length))
        received = received.subarray(length)
      }
    })
  }

  #answer(socket: Socket, message: Buffer): void {
    const id = message.readInt32LE(4)
    const code = message.readInt32LE(12)
    if (code === OP_QUERY) {
      const body = BSON.deserialize(message.subarray(message.indexOf(0, HEADER + 4) + 9))
      socket.write(reply(id, this.#run(body)))
      return
    }
    if (code !== OP_MSG) throw new Error(`no such message: ${code}`)
    const command = bodyOf(message)
    if ('getMore' in command) {
      this.changeStreams.more(command).then((answer) => socket.writable && socket.write(messageOf(id, answer)))
      return
    }
    const answer = this.#run(command)
    if ((message.readUInt32LE(HEADER) & MORE_TO_COME) === 0) socket.write(messageOf(id, answer))
  }

  #run(command: Doc): Doc {
    const name = Object.keys(command)[0] as string
    if (/^(hello|isMaster|ismaster)$/.test(name)) return this.#hello()
    if (name === 'killCursors') this.changeStreams.kill(command.cursors)
    if (/^(endSessions|ping|killCursors)$/.test(name)) return { ok: 1 }
    this.commands.push(command)
    const key = command.txnNumber === undefined ? undefined : BSON.EJSON.stringify([command.lsid, command.txnNumber])
    const known = key === undefined ? undefined : this.#answers.get(key)
    if (known) return known
    const index = this.#failures.findIndex((each) => each.name === name)
    const [failure] = index < 0 ? [] : this.#failures.splice(index, 1)
    if (failure && !failure.isDone) return { ok: 0, errmsg: 'made to fail', ...failure.answer }
    if (Array.isArray(command.update) && this.#options.takesPipelines === false)
      return failed(9, 'FailedToParse', 'Argument to findAndModify must be an object')
    const isStream = name === 'aggregate' && command.pipeline[0]?.$changeStream
    const answer = isStream ? this.#changeStream(command) : this.data.run(name, command)
    if (key !== undefined) this.#answers.set(key, answer)
    return failure ? { ...answer, errmsg: 'made to fail', ...failure.answer } : answer
  }

  #changeStream(command: Doc): Doc {
    if (this.#options.isReplicaSet) return this.changeStreams.start(command)
    return failed(40573, 'Location40573', 'The $changeStream stage is only supported on replica sets')
  }

  #hello(): Doc {
    const address = `127.0.0.1:${this.port}`
    const set = { setName: 'one', setVersion: 1, hosts: [address], primary: address, me: address, secondary: false }
    return {
      helloOk: true,
      ismaster: true,
      isWritablePrimary: true,
      maxBsonObjectSize: 16 * 1024 * 1024,
      maxMessageSizeBytes: 48_000_000,
      maxWriteBatchSize: 100_000,
      localTime: new Date(),
      logicalSessionTimeoutMinutes: 30,
      minWireVersion: 0,
      maxWireVersion: this.#options.wireVersion ?? 21,
      readOnly: false,
      ...(this.#options.isReplicaSet && set),
      ok: 1,
    }
  }
}

/** The command of an OP_MSG: its body, and the lists of documents that come apart from it. */
function bodyOf(message: Buffer): Doc {
  const lists: Doc = {}
  let body: Doc = {}
  let at = HEADER + 4
  while (at < message.length) {
    const kind = message[at]
    const size = message.readInt32LE(at + 1)
    const end = at + 1 + size
    if (kind === 0) body = BSON.deserialize(message.subarray(at + 1, end))
    else {
      const named = message.indexOf(0, at + 5)
      const list: Doc[] = []
      for (let from = named + 1; from < end; from += message.readInt32LE(from)) {
        list.push(BSON.deserialize(message.subarray(from, from + message.readInt32LE(from))))
      }
      lists[message.toString('latin1', at + 5, named)] = list
    }
    at = end
  }
  return { ...body, ...lists }
}

function messageOf(id: number, answer: Doc): Buffer {
  const body = BSON.serialize(answer)
  return framed(id, OP_MSG, Buffer.from([0, 0, 0, 0, 0]), body)
}

/** The answer to the first message of a connection, which older clients send in the older form. */
function reply(id: number, answer: Doc): Buffer {
  const head = Buffer.alloc(20)
  head.writeInt32LE(8, 0)
  head.writeInt32LE(1, 16)
  return framed(id, OP_REPLY, head, BSON.serialize(answer))
}

function framed(id: number, code: number, head: Buffer, body: Uint8Array): Buffer {
  const header = Buffer.alloc(HEADER)
  header.writeInt32LE(HEADER + head.length + body.length, 0)
  header.writeInt32LE(id, 8)
  header.writeInt32LE(code, 12)
  return Buffer.concat([header, head, body])
}
