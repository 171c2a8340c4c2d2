import { afterEach, beforeEach, expect, it } from 'vitest'
import { RedisBus } from '../../../src/store/drivers/redis/bus.js'
import type { SubscriberEndpoint, SubscriberListener } from '../../../src/store/drivers/subscriber/connection.js'
import { until } from '../../support/wait.js'

/** A node of a cluster: it refuses the channels of slots that it does not have. */
class FakeNode implements SubscriberEndpoint {
  readonly subscribed = new Set<string>()
  connections = 0
  refusals = 0
  /** Subscriptions are not answered until then. */
  answers: Promise<void> | undefined
  #listener: SubscriberListener | undefined

  constructor(readonly name: string) {}

  open(listener: SubscriberListener) {
    this.#listener = listener
    this.connections++
    return {
      connect: async () => undefined,
      subscribe: async (channels: string[]) => {
        await this.answers
        if (channels.some((channel) => owners.get(channel) !== this)) {
          this.refusals++
          throw new Error('MOVED')
        }
        for (const channel of channels) this.subscribed.add(channel)
      },
      unsubscribe: async (channels: string[]) => {
        for (const channel of channels) this.subscribed.delete(channel)
      },
      ping: async () => undefined,
      destroy: () => this.subscribed.clear(),
    }
  }

  publish(channel: string): void {
    if (this.subscribed.has(channel)) this.#listener?.message(channel, 'text')
  }

  lose(): void {
    this.subscribed.clear()
    this.#listener?.lost()
  }
}

const owners = new Map<string, FakeNode>()
let isKnown: boolean
let one: FakeNode
let other: FakeNode
let bus: RedisBus
let gaps: number
let heard: string[]

beforeEach(() => {
  ;[one, other] = [new FakeNode('one'), new FakeNode('other')]
  isKnown = true
  gaps = 0
  heard = []
  bus = new RedisBus(
    (channel) => (isKnown ? owners.get(channel) : undefined),
    async () => undefined,
  )
  bus.start({ heard: (channel) => void heard.push(channel), gap: () => void gaps++ })
})
afterEach(() => {
  bus.close()
  owners.clear()
})

it('topics that were subscribed to before the cluster knew its nodes are subscribed to at their nodes', async () => {
  isKnown = false
  const confirmed = Promise.all([bus.subscribe('a'), bus.subscribe('b')])
  owners.set('a', one).set('b', other)
  isKnown = true
  await confirmed
  one.publish('a')
  other.publish('b')
  expect(heard).toEqual(['a', 'b'])
  expect([one.connections, other.connections, one.refusals + other.refusals]).toEqual([1, 1, 0])
})

it('a topic whose slot has moved when the connection is lost is subscribed to at its new node, and the gap is told', async () => {
  owners.set('a', one).set('b', one).set('c', one)
  await Promise.all(['a', 'b', 'c'].map((topic) => bus.subscribe(topic)))
  owners.set('a', other)
  one.lose()
  await until(() => other.subscribed.has('a') && one.subscribed.has('b') && one.subscribed.has('c'))
  await until(() => gaps > 0)
  expect([one.connections, other.connections, one.refusals + other.refusals]).toEqual([2, 1, 0])
  other.publish('a')
  one.publish('b')
  expect(heard).toEqual(['a', 'b'])
})

it('a subscription that is handed over is confirmed by the new node only', async () => {
  isKnown = false
  let isConfirmed = false
  let answer = (): void => undefined
  other.answers = new Promise((resolve) => {
    answer = resolve
  })
  owners.set('a', one).set('b', other)
  const confirmed = Promise.all([bus.subscribe('a'), bus.subscribe('b')]).then(() => {
    isConfirmed = true
  })
  isKnown = true
  await until(() => one.subscribed.has('a'))
  expect([isConfirmed, gaps]).toEqual([false, 0])
  answer()
  await confirmed
  expect(other.subscribed.has('b')).toBe(true)
  await until(() => gaps > 0)
})
