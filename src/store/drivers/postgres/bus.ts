import type { Bus, OwnBusListener } from '../../../bus.js'
import { BUS_NAME } from '../../../bus-name.js'
import { SharedSessionError } from '../../../errors.js'
import type { SubscriberConnection } from '../subscriber/connection.js'
import { ReconnectingSubscriber } from '../subscriber/reconnecting-subscriber.js'
import { channelOf, MAX_TEXT, partsOf, payloadOf } from './channels.js'

/** The part of a `Pool` of the package pg that this bus uses: single queries, and the options of its connections. */
export interface PostgresPool {
  query(text: string, values: unknown[]): Promise<unknown>
  options: object
}

/** The part of a `Client` of the package pg that this bus uses. */
interface Client {
  on(event: 'notification', listener: (notification: { payload?: string | undefined }) => void): unknown
  on(event: 'error' | 'end', listener: () => void): unknown
  connect(): Promise<unknown>
  query(text: string): Promise<unknown>
  end(): Promise<unknown>
  unref?(): void
  connection?: { stream?: { destroy?(): void; unref?(): void } }
}

/** That class. */
export type ClientClass = new (options: object) => Client

/**
 * Postgres as the bus. The store's driver notifies in its write; this listens on a connection of its own, made with the pool's options.
 * Topics share a fixed number of channels.
 */
export class PostgresBus implements Bus {
  readonly [BUS_NAME] = 'postgres'
  readonly publishedByDriver: string
  /** LISTEN and NOTIFY need no privileges: every role of the database can do both. */
  readonly isPublic = true
  readonly maxBytes = MAX_TEXT
  readonly #pool: PostgresPool
  readonly #subscriber: ReconnectingSubscriber
  /** The subscribed topics of each channel. */
  readonly #topics = new Map<string, Set<string>>()
  #listener: OwnBusListener | undefined

  /** @param driver the name of the driver that notifies in its writes */
  constructor(pool: PostgresPool, Client: ClientClass, driver = 'postgres') {
    this.publishedByDriver = driver
    this.#pool = pool
    this.#subscriber = new ReconnectingSubscriber(
      (lost) => connectionOf(new Client(pool.options), (payload) => this.#onNotification(payload), lost),
      () => this.#listener?.gap(),
    )
  }

  start(listener: OwnBusListener): void {
    if (this.#listener) {
      throw new SharedSessionError(
        'BAD_OPTION',
        'One postgresBus() serves one session store: make another one for the second store.',
      )
    }
    this.#listener = listener
  }

  subscribe(topic: string): Promise<void> | undefined {
    const channel = channelOf(topic)
    const topics = this.#topics.get(channel)
    if (topics) topics.add(topic)
    else this.#topics.set(channel, new Set([topic]))
    return this.#subscriber.subscribe(channel)
  }

  unsubscribe(topic: string): void {
    const channel = channelOf(topic)
    const topics = this.#topics.get(channel)
    if (!topics?.delete(topic) || topics.size > 0) return
    this.#topics.delete(channel)
    this.#subscriber.unsubscribe(channel)
  }

  async publish(topic: string, text: string): Promise<void> {
    await this.#pool.query('SELECT pg_notify($1, $2)', [channelOf(topic), payloadOf(topic, text)])
  }

  /** The pool has other options now. */
  moved(): void {
    this.#unsubscribeAll()
    this.#listener?.moved?.()
  }

  close(): void {
    this.#unsubscribeAll()
    this.#listener = undefined
  }

  #unsubscribeAll(): void {
    this.#subscriber.close()
    this.#topics.clear()
  }

  #onNotification(payload: string): void {
    const { topic, text } = partsOf(payload)
    if (this.#topics.get(channelOf(topic))?.has(topic)) this.#listener?.heard(topic, text)
  }
}

/**
 * Postgres as the bus between processes, for the option `bus`.
 * @param options a `Pool` of the package pg, for the database of the session store. It gives its options, and publishes messages that belong
 * to no write; listening takes one connection besides those of the pool
 * @throws `BAD_OPTION` for what is no such pool
 */
export function postgresBus(options: { pool: PostgresPool }): Bus {
  const { pool } = Object(options) as typeof options
  const { Client } = Object(pool) as { Client?: unknown }
  if (typeof Client !== 'function' || typeof pool.query !== 'function' || typeof pool.options !== 'object') {
    throw new SharedSessionError('BAD_OPTION', 'postgresBus() takes { pool }, a Pool of the package pg.')
  }
  return new PostgresBus(pool, Client as ClientClass)
}

function connectionOf(client: Client, onPayload: (payload: string) => void, lost: () => void): SubscriberConnection {
  const unref = (): void => (client.unref ? client.unref() : client.connection?.stream?.unref?.())
  const run = oneByOne((text) => client.query(text))
  client.on('error', lost)
  client.on('end', lost)
  client.on('notification', ({ payload }) => onPayload(payload ?? ''))
  return {
    async connect() {
      const connecting = client.connect()
      unref()
      await connecting
      unref()
    },
    subscribe: (channels) => run(channels.map((channel) => `LISTEN ${channel}`).join(';')),
    unsubscribe: (channels) => run(channels.map((channel) => `UNLISTEN ${channel}`).join(';')),
    ping: () => run('SELECT 1'),
    destroy() {
      // `end()` waits for the server, which may not answer any more.
      client.connection?.stream?.destroy?.()
      client.end().catch(() => undefined)
    },
  }
}

/** A client runs one query at a time. Statements that come while one runs are the next query together: there are dozens of channels. */
function oneByOne(query: (text: string) => Promise<unknown>): (statement: string) => Promise<unknown> {
  let last: Promise<unknown> = Promise.resolve()
  let next: { statements: string[]; run: Promise<unknown> } | undefined
  return (statement) => {
    if (next) {
      next.statements.push(statement)
      return next.run
    }
    const statements = [statement]
    const run = last
      .catch(() => undefined)
      .then(() => {
        next = undefined
        return query(statements.join(';'))
      })
    next = { statements, run }
    last = run
    return run
  }
}
