import type { Bus, BusListener } from '../../../bus.js'
import { BUS_NAME } from '../../../bus-name.js'
import { debug } from '../../../debug.js'
import { asPromise, backoff } from '../../../util/promises.js'
import type { ChangeStream, Doc, MessageCollection } from './collection.js'
import { isRefusal } from './errors.js'

/** ms that the server waits for a change before it answers. Older clients do not close while they wait for an answer. */
const AWAIT = 1000
/** Seconds that a message is kept: nobody reads it in the collection, as the stream comes from the oplog. */
const KEPT_SECONDS = 60
/** ms before a lost stream is opened again; it doubles up to the longest, and is jittered. */
const SHORTEST_DELAY = 50
const LONGEST_DELAY = 2000
/** The changes of other kinds end the stream. */
const PIPELINE = [{ $match: { operationType: { $in: ['insert', 'drop', 'rename', 'dropDatabase', 'invalidate'] } } }]

/**
 * Change streams of MongoDB as the bus: messages are documents of a collection beside that of the sessions. The sessions themselves are not
 * watched: a deleted document cannot tell whether the session was destroyed, or has a new id to which its sockets reconnect.
 *
 * Each process gets all messages, and drops those of sessions that it does not have: they are short, and a stream with another filter is
 * another stream. A stream that was lost goes on where it ended.
 */
export class MongoBus implements Bus {
  readonly [BUS_NAME] = 'mongodb'
  readonly #collection: () => Promise<MessageCollection>
  readonly #topics = new Set<string>()
  #listener: BusListener | undefined
  #stream: ChangeStream | undefined
  /** Where the next stream begins; `undefined`: now. */
  #token: unknown
  #isAvailable = false
  #isClosed = false
  #decide: (isAvailable: boolean) => void = () => undefined
  #timer: NodeJS.Timeout | undefined

  /** @param collection resolves with the collection of the messages when the store is connected */
  constructor(collection: () => Promise<MessageCollection>) {
    this.#collection = collection
  }

  /** Opens the stream, which only the members of a replica set and `mongos` have. */
  isAvailable(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#decide = resolve
      this.#run()
    })
  }

  start(listener: BusListener): void {
    this.#listener = listener
  }

  subscribe(topic: string): void {
    this.#topics.add(topic)
  }

  unsubscribe(topic: string): void {
    this.#topics.delete(topic)
  }

  async publish(topic: string, text: string): Promise<void> {
    const collection = await this.#collection()
    await collection.insertOne({ topic, text, at: new Date() }, { writeConcern: { w: 1 } })
  }

  close(): void {
    this.#isClosed = true
    this.#topics.clear()
    this.#listener = undefined
    clearTimeout(this.#timer)
    this.#decide(false)
    this.#closeStream()
  }

  async #run(failures = 0): Promise<void> {
    const resumed = this.#token !== undefined
    let isOpen = false
    try {
      await this.#read(() => {
        isOpen = true
        failures = 0
      })
    } catch (error) {
      debug('the change stream has ended: %s', (error as Error | undefined)?.message)
      if (!this.#isAvailable && !isTemporary(error)) return this.#decide(false)
      // The server does not have what came after that any more.
      if (resumed && !isOpen && !isTemporary(error)) this.#token = undefined
    }
    if (this.#isClosed) return
    this.#timer = setTimeout(() => this.#run(failures + 1), backoff(failures, SHORTEST_DELAY, LONGEST_DELAY))
    this.#timer.unref()
  }

  /** @param onOpen is called when the server has opened the stream. Resolves when it has ended */
  async #read(onOpen: () => void): Promise<void> {
    const collection = await this.#collection()
    if (this.#isClosed) return
    const resumeAfter = this.#token
    const stream = collection.watch(PIPELINE, { maxAwaitTimeMS: AWAIT, ...(resumeAfter !== undefined && { resumeAfter }) })
    this.#stream = stream
    try {
      let { first: next } = await opened(stream)
      onOpen()
      if (resumeAfter === undefined) await this.#begin(collection)
      while (!this.#isClosed) {
        const change = await next
        this.#token = change?._id ?? stream.resumeToken ?? this.#token
        if (change?.operationType === 'insert') this.#heard(Object(change.fullDocument))
        else if (change) this.#token = undefined
        if (stream.closed || this.#token === undefined) return
        next = stream.tryNext()
      }
    } finally {
      this.#closeStream()
    }
  }

  /** A stream begins now: what was published before it was not heard. */
  async #begin(collection: MessageCollection): Promise<void> {
    try {
      await collection.createIndex({ at: 1 }, { expireAfterSeconds: KEPT_SECONDS })
    } catch (error) {
      // Without it messages would stay for ever.
      if (!this.#isAvailable) throw error
      debug('the messages have no index: %s', (error as Error | undefined)?.message)
    }
    if (this.#isAvailable) this.#listener?.gap()
    this.#isAvailable = true
    this.#decide(true)
  }

  /** Once: a second call would end what the client needs to tell the server. */
  #closeStream(): void {
    const stream = this.#stream
    this.#stream = undefined
    asPromise(() => stream?.close()).catch((error) => debug('the change stream was not closed: %s', error?.message))
  }

  #heard({ topic, text }: Doc): void {
    if (this.#topics.has(topic as string)) this.#listener?.heard(topic as string, text as string)
  }
}

/** Resolves when the server has opened the stream, with the promise of its first change. */
async function opened(stream: ChangeStream): Promise<{ first: Promise<Doc | null> }> {
  const hasToken = new Promise<void>((resolve) => stream.once('resumeTokenChanged', resolve))
  const first = stream.tryNext()
  // Older clients wait for the first change as well.
  await Promise.race([hasToken, first])
  first.catch(() => undefined)
  return { first }
}

/** Not because the server refuses, or because of something else than the connection. */
function isTemporary(error: unknown): boolean {
  const { name } = Object(error) as { name?: unknown }
  return String(name).startsWith('Mongo') && !isRefusal(error)
}
