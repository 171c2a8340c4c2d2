import { describe, expect, it } from 'vitest'
import { Channels } from '../../../src/store/drivers/subscriber/channels.js'
import type { SubscriberConnection } from '../../../src/store/drivers/subscriber/connection.js'
import { ReconnectingSubscriber } from '../../../src/store/drivers/subscriber/reconnecting-subscriber.js'
import { Random } from '../../history/random.js'
import { until } from '../../support/wait.js'

const turn = () => new Promise((resolve) => setImmediate(resolve))

/** Answers commands in order, when it is told to. As node-redis, it sends no SUBSCRIBE for a channel that it still has listeners of. */
class FakeConnection implements SubscriberConnection {
  readonly commands: string[] = []
  readonly subscribed = new Set<string>()
  isAutomatic = false
  readonly #waiting: (() => void)[] = []
  readonly #refused: ((error: Error) => void)[] = []

  async connect(): Promise<void> {}
  async ping(): Promise<void> {}
  destroy(): void {
    for (const refuse of this.#refused) refuse(new Error('closed'))
  }

  subscribe(channels: string[]): Promise<void> {
    const added = channels.filter((channel) => !this.subscribed.has(channel))
    return this.#command(`+${channels.length}`, () => {
      for (const channel of added) this.subscribed.add(channel)
    })
  }

  unsubscribe(channels: string[]): Promise<void> {
    return this.#command(`-${channels.length}`, () => {
      for (const channel of channels) this.subscribed.delete(channel)
    })
  }

  /** The next command is answered. */
  answer(): boolean {
    const next = this.#waiting.shift()
    next?.()
    return next !== undefined
  }

  refuse(): void {
    this.#refused.at(-1)?.(new Error('refused'))
  }

  #command(command: string, apply: () => void): Promise<void> {
    this.commands.push(command)
    return new Promise((resolve, reject) => {
      this.#refused.push(reject)
      this.#waiting.push(() => {
        apply()
        resolve()
      })
      if (this.isAutomatic) this.answer()
    })
  }
}

function attached() {
  const refused: unknown[] = []
  const channels = new Channels((connection, error) => refused.push([connection, (error as Error).message]))
  const connection = new FakeConnection()
  channels.attach(connection)
  return { channels, connection, refused }
}

const names = (count: number) => Array.from({ length: count }, (_, n) => `channel-${n}`)

describe('channels', () => {
  it('that were all forgotten in the turn in which they came keep none waiting that come after them', async () => {
    const { channels } = attached()
    channels.add('forgotten')
    channels.clear()
    const confirmed = channels.add('wanted')
    const connection = new FakeConnection()
    connection.isAutomatic = true
    channels.attach(connection)
    await confirmed
    expect([...connection.subscribed]).toEqual(['wanted'])
  })

  it('of one turn are one command, and have one promise', async () => {
    const { channels, connection } = attached()
    const promises = new Set(names(10).map((name) => channels.add(name)))
    expect(promises.size).toBe(1)
    await turn()
    expect(connection.commands).toEqual(['+10'])
    connection.answer()
    await [...promises][0]
    expect(connection.subscribed.size).toBe(10)
    expect(channels.add('channel-3')).toBeUndefined()
    for (const name of names(10)) channels.delete(name)
    await turn()
    expect(connection.commands).toEqual(['+10', '-10'])
  })

  it('go in commands of a thousand, on a new connection as well', async () => {
    const { channels, connection } = attached()
    const confirmed = new Set(names(2500).map((name) => channels.add(name)))
    await turn()
    expect(connection.commands).toEqual(['+1000', '+1000', '+500'])
    while (connection.answer());
    await Promise.all(confirmed)
    expect(channels.detach()).toBe(true)
    const second = new FakeConnection()
    const resumed = channels.attach(second)
    expect(second.commands).toEqual(['+1000', '+1000', '+500'])
    while (second.answer());
    await resumed
    expect(channels.add('channel-3')).toBeUndefined()
  })

  it('that are given up and wanted again in one turn stay as they are', async () => {
    const { channels, connection } = attached()
    const confirmed = channels.add('a')
    await turn()
    connection.answer()
    await confirmed
    channels.delete('a')
    expect(channels.add('a')).toBeUndefined()
    await turn()
    expect(connection.commands).toEqual(['+1'])
    channels.delete('a')
    channels.add('a')
    channels.delete('a')
    await turn()
    expect(connection.commands).toEqual(['+1', '-1'])
  })

  it('that are wanted again before the UNSUBSCRIBE is answered are subscribed to after that', async () => {
    const { channels, connection } = attached()
    const confirmed = channels.add('a')
    await turn()
    connection.answer()
    await confirmed
    channels.delete('a')
    await turn()
    const again = channels.add('a')
    await turn()
    expect(connection.commands).toEqual(['+1', '-1'])
    connection.answer()
    await turn()
    await turn()
    expect(connection.commands).toEqual(['+1', '-1', '+1'])
    connection.answer()
    await again
    expect([...connection.subscribed]).toEqual(['a'])
  })

  it('have a promise that is not resolved by others of the turn which are given up', async () => {
    const { channels, connection } = attached()
    await turn()
    channels.add('a')
    channels.delete('a')
    let isConfirmed = false
    const confirmed = channels.add('b')?.then(() => {
      isConfirmed = true
    })
    await turn()
    expect(isConfirmed).toBe(false)
    connection.answer()
    await confirmed
  })

  it('that change before a command is answered go together afterwards', async () => {
    const { channels, connection } = attached()
    const first = channels.add('a')
    await turn()
    const later = new Set(['b', 'c', 'd'].map((name) => channels.add(name)))
    expect(later.size).toBe(1)
    await turn()
    channels.add('e')
    channels.delete('a')
    await turn()
    expect(connection.commands).toEqual(['+1'])
    connection.answer()
    await first
    await turn()
    await turn()
    expect(connection.commands).toEqual(['+1', '-1', '+4'])
    while (connection.answer());
    await Promise.all(later)
    expect([...connection.subscribed]).toEqual(['b', 'c', 'd', 'e'])
  })

  it('do not wait for the answer of a connection that was lost', async () => {
    const { channels } = attached()
    channels.add('a')
    await turn()
    channels.detach()
    const second = new FakeConnection()
    channels.attach(second)
    second.answer()
    await turn()
    channels.add('b')
    await turn()
    expect(second.commands).toEqual(['+1', '+1'])
  })

  it('of a refused command lose the connection', async () => {
    const { channels, connection, refused } = attached()
    channels.add('a')
    await turn()
    connection.refuse()
    await turn()
    expect(refused).toEqual([[connection, 'refused']])
  })

  it('end up subscribed to exactly where they are wanted, whatever comes in between', async () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = new Random(seed)
      const { channels, connection: first } = attached()
      const connections = [first]
      let connection: FakeConnection | undefined = first
      const wanted = new Map<string, Promise<void> | undefined>()
      for (let step = 0; step < 200; step++) {
        const name = `${random.below(4)}`
        const action = random.below(12)
        if (action < 4) wanted.set(name, channels.add(name))
        else if (action < 7) {
          wanted.delete(name)
          channels.delete(name)
        } else if (action < 9) await turn()
        else if (action < 11) {
          // The answer of a lost connection may have been on its way.
          random.pick(connections.slice(-2)).answer()
          await turn()
        } else if (connection) {
          channels.detach()
          connection = undefined
        } else {
          connection = new FakeConnection()
          connections.push(connection)
          channels.attach(connection)
        }
      }
      if (!connection) {
        connection = new FakeConnection()
        channels.attach(connection)
      }
      connection.isAutomatic = true
      while (connection.answer());
      for (let n = 0; n < 5; n++) await turn()
      await Promise.all(wanted.values())
      const expected = [...wanted.keys()].toSorted()
      expect([...connection.subscribed].toSorted(), `seed ${seed}`).toEqual(expected)
      for (const name of expected) expect(channels.add(name), `seed ${seed}`).toBeUndefined()
    }
  })
})

describe('a subscriber', () => {
  it('subscribes again to all channels, and says so once', async () => {
    const connections: { connection: FakeConnection; lost: () => void }[] = []
    let resumed = 0
    const subscriber = new ReconnectingSubscriber(
      (lost) => {
        const connection = new FakeConnection()
        connection.isAutomatic = true
        connections.push({ connection, lost })
        return connection
      },
      () => resumed++,
    )
    await Promise.all(names(1500).map((name) => subscriber.subscribe(name)))
    expect(connections[0]!.connection.subscribed.size).toBe(1500)
    subscriber.unsubscribe('channel-7')
    connections[0]!.lost()
    await until(() => resumed === 1)
    expect(connections[1]!.connection.commands).toEqual(['+1000', '+499'])
    expect(connections[1]!.connection.subscribed.has('channel-7')).toBe(false)
    subscriber.close()
  })
})
