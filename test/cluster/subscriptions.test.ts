import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Bus, BusListener } from '../../src/bus.js'
import { ClusterSync, type ClusterTarget, type ReportedEnd } from '../../src/cluster/cluster-sync.js'
import { encodeMessage } from '../../src/cluster/message.js'
import { ClusterPublisher } from '../../src/cluster/publisher.js'
import { type Moment, SessionClock } from '../../src/store/session-clock.js'
import { topicOf } from '../../src/store/topic.js'
import { deferred } from '../support/wait.js'

const turn = () => new Promise((resolve) => setImmediate(resolve))
const isSettled = async (promise: Promise<void> | undefined): Promise<boolean> => {
  let settled = false
  promise?.then(() => {
    settled = true
  })
  await turn()
  return settled
}

/** Answers subscriptions when it is told to. */
class SlowBus implements Bus {
  readonly topics = new Set<string>()
  listener!: BusListener
  #answer = deferred()

  start(listener: BusListener): void {
    this.listener = listener
  }
  subscribe(topic: string): void | Promise<void> {
    this.topics.add(topic)
    return this.#answer.promise
  }
  unsubscribe(topic: string): void {
    this.topics.delete(topic)
  }
  publish(): void {}
  close(): void {}

  async confirm(): Promise<void> {
    this.#answer.resolve()
    this.#answer = deferred()
    await turn()
  }
  async refuse(): Promise<void> {
    this.#answer.reject(new Error('refused'))
    this.#answer = deferred()
    await turn()
  }
  hear(sid: string): void {
    const to = { v: 2, id: 'two' }
    this.listener.heard(topicOf(sid), encodeMessage({ kind: 'commit', to }, 'another-process'))
  }
}

/** A process whose sessions are all in the store, and which has replicas of those that are in `live`. */
function started(given: Bus | null | false = new SlowBus()) {
  const bus = given ?? undefined
  const clock = new SessionClock()
  const live = new Set<string>()
  const reads: string[] = []
  const replica = (sid: string) => ({
    sid,
    stored: true,
    receiveCommit: () => undefined,
    afterCommitMessage: () => undefined,
  })
  const target: ClusterTarget = {
    ...{
      clock,
      reportedEnds: new Map<string, ReportedEnd>(),
      noteReportedEnd: () => undefined,
      onMissingInStore: () => undefined,
    },
    living: (sid) => (live.has(sid) ? replica(sid) : undefined),
  }
  const committer = {
    readMany: async (sids: string[]) => {
      reads.push(...sids)
      return sids.map(() => ({}))
    },
    runExclusive: (_: string, job: (read: () => Promise<unknown>) => Promise<void>) => job(async () => ({})),
  }
  const publisher = new ClusterPublisher({} as never, 1000)
  const options = { driver: {}, bus, maxBytes: 1000, rotationWait: 1000, onReportedEnd() {}, onReportedMissing() {} }
  const cluster = new ClusterSync(target, committer as never, publisher, options as never)
  cluster.open()
  /** The first socket of a handshake that read at that moment has joined. */
  const join = async (sid: string, readMoment?: Moment): Promise<void> => {
    live.add(sid)
    cluster.subscribeReplica(sid, readMoment)
    await turn()
    await turn()
  }
  return { cluster, clock, live, reads, join, bus: bus as SlowBus }
}

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

describe('a handshake that subscribes before it reads', () => {
  it('waits for the bus, and needs no second read', async () => {
    const { cluster, clock, reads, join, bus } = started()
    const subscribed = cluster.subscribe('a')
    expect(await isSettled(subscribed)).toBe(false)
    await bus.confirm()
    expect(await isSettled(subscribed)).toBe(true)
    await join('a', clock.now())
    cluster.unsubscribe('a')
    expect(reads).toEqual([])
    expect(cluster.subscribe('a')).toBeUndefined()
  })

  it('is confirmed by a promise that the bus has returned before', async () => {
    class OnePromiseBus extends SlowBus {
      readonly ready = deferred()
      override subscribe(): Promise<void> {
        return this.ready.promise
      }
    }
    const bus = new OnePromiseBus()
    const { cluster, reads, join } = started(bus)
    cluster.subscribe('a')
    bus.ready.resolve()
    await turn()
    cluster.subscribe('b')
    await turn()
    expect(cluster.subscribe('b')).toBeUndefined()
    await join('b')
    expect(reads).toEqual(['b'])
  })

  it('shares the promise with all handshakes of the turn', () => {
    const { cluster } = started()
    const promises = new Set(['a', 'b', 'a', 'c'].map((sid) => cluster.subscribe(sid)))
    expect(promises.size).toBe(1)
    expect([...promises][0]).toBeInstanceOf(Promise)
  })

  it('has nothing to wait for without a bus, nor with one that subscribes at once', async () => {
    expect(started(false).cluster.subscribe('a')).toBeUndefined()
    expect(started(null).cluster.subscribe('a')).toBeUndefined()
    const atOnce = new SlowBus()
    atOnce.subscribe = () => undefined
    const { cluster, clock, reads, join } = started(atOnce)
    expect(cluster.subscribe('a')).toBeUndefined()
    await join('a', clock.now())
    expect(reads).toEqual([])
  })

  it('goes on after a second, and the session is read when the bus has confirmed', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { cluster, clock, reads, join, bus } = started()
    const subscribed = cluster.subscribe('a')
    vi.advanceTimersByTime(999)
    expect(await isSettled(subscribed)).toBe(false)
    vi.advanceTimersByTime(1)
    await subscribed
    // Others do not wait as long as the bus does not answer.
    expect(cluster.subscribe('b')).toBeUndefined()
    await join('a', clock.now())
    cluster.unsubscribe('a')
    expect(reads).toEqual([])
    await bus.confirm()
    await turn()
    expect(reads).toEqual(['a'])
    expect(cluster.subscribe('c')).toBeInstanceOf(Promise)
  })

  it('goes on where the bus refuses, and the session is read at the gap that follows', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0)
    const { cluster, clock, reads, join, bus } = started()
    const subscribed = cluster.subscribe('a')
    await bus.refuse()
    await subscribed
    await join('a', clock.now())
    expect(reads).toEqual([])
    bus.listener.gap()
    await expect.poll(() => reads).toEqual(['a'])
  })

  it('goes on where the bus throws', async () => {
    const bus = new SlowBus()
    bus.subscribe = () => {
      throw new Error('not now')
    }
    const { cluster } = started(bus)
    expect(cluster.subscribe('a')).toBeUndefined()
    cluster.unsubscribe('a')
  })

  it('goes on when the bus is closed', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { cluster } = started()
    const subscribed = cluster.subscribe('a')
    cluster.close()
    await subscribed
    cluster.unsubscribe('a')
  })
})

describe('the session is read once more', () => {
  it('where the read began before the bus had confirmed', async () => {
    const { cluster, clock, reads, join, bus } = started()
    cluster.subscribe('a')
    const moment = clock.now()
    await bus.confirm()
    await join('a', moment)
    expect(reads).toEqual(['a'])
  })

  it('where a message came between the read and the replica', async () => {
    const { cluster, clock, reads, join, bus } = started()
    cluster.subscribe('a')
    await bus.confirm()
    const moment = clock.now()
    bus.hear('a')
    await turn()
    expect(reads).toEqual([])
    await join('a', moment)
    expect(reads).toEqual(['a'])
  })

  it('where a message came between the read and the replica, and the bus had refused and subscribed later', async () => {
    const { cluster, clock, reads, join, bus } = started()
    vi.spyOn(Math, 'random').mockReturnValue(1000)
    cluster.subscribe('a')
    await bus.refuse()
    bus.listener.gap()
    const moment = clock.now()
    bus.hear('a')
    await turn()
    expect(reads).toEqual([])
    await join('a', moment)
    expect(reads).toEqual(['a'])
    cluster.close()
  })

  it('where a message came before the read: no', async () => {
    const { cluster, clock, reads, join, bus } = started()
    cluster.subscribe('a')
    await bus.confirm()
    bus.hear('a')
    await turn()
    await join('a', clock.now())
    expect(reads).toEqual([])
  })

  it('where there was a gap between the read and the replica', async () => {
    const { cluster, clock, reads, join, bus } = started()
    vi.spyOn(Math, 'random').mockReturnValue(1000)
    cluster.subscribe('a')
    await bus.confirm()
    const moment = clock.now()
    bus.listener.gap()
    await join('a', moment)
    expect(reads).toEqual(['a'])
    cluster.close()
  })

  it('where there was a gap before the bus had confirmed', async () => {
    const { cluster, clock, reads, join, bus } = started()
    vi.spyOn(Math, 'random').mockReturnValue(1000)
    cluster.subscribe('a')
    const moment = clock.now()
    bus.listener.gap()
    await join('a', moment)
    expect(reads).toEqual(['a'])
    await bus.confirm()
    await turn()
    expect(reads).toEqual(['a', 'a'])
    cluster.close()
  })

  it('where the caller does not know when the replica was read', async () => {
    const { cluster, reads, join, bus } = started()
    cluster.subscribe('a')
    await bus.confirm()
    await join('a')
    expect(reads).toEqual(['a'])
  })

  it('where the bus became known later, as socket.io’s adapter does', async () => {
    const { cluster, clock, reads, join, bus } = started()
    cluster.close()
    expect(cluster.subscribe('a')).toBeUndefined()
    await join('a', clock.now())
    await bus.confirm()
    cluster.open()
    expect(reads).toEqual([])
    await bus.confirm()
    await turn()
    expect(reads).toEqual(['a'])
  })
})

describe('a subscription', () => {
  it('is held by a handshake when the last socket leaves', async () => {
    const { cluster, join, bus } = started()
    await join('a')
    await bus.confirm()
    cluster.subscribe('a')
    cluster.unsubscribe('a')
    expect(bus.topics.size).toBe(1)
    cluster.unsubscribe('a')
    expect(bus.topics.size).toBe(0)
    cluster.unsubscribe('a')
  })

  it('that is given up and made again waits for the bus again', async () => {
    const { cluster, clock, reads, join, bus } = started()
    cluster.subscribe('a')
    const first = bus.confirm()
    cluster.unsubscribe('a')
    const again = cluster.subscribe('a')
    await first
    expect(await isSettled(again)).toBe(false)
    const moment = clock.now()
    await bus.confirm()
    await join('a', moment)
    expect(reads).toEqual(['a'])
  })

  it('is as often held after the bus was closed and opened', async () => {
    const { cluster, join, bus } = started()
    await join('a')
    cluster.subscribe('a')
    cluster.close()
    cluster.subscribe('a')
    bus.topics.clear()
    cluster.open()
    expect(bus.topics.size).toBe(1)
    for (let n = 0; n < 2; n++) cluster.unsubscribe('a')
    expect(bus.topics.size).toBe(1)
    cluster.unsubscribe('a')
    expect(bus.topics.size).toBe(0)
  })

  it('of a session whose rotation is under way is made on the next bus', async () => {
    const { cluster, live, bus } = started()
    live.add('a')
    cluster.subscribe('a')
    bus.listener.heard(topicOf('a'), encodeMessage({ kind: 'end', reason: 'regenerated', answered: true }, 'another-process'))
    cluster.unsubscribe('a')
    expect(bus.topics.size).toBe(1)
    cluster.close()
    bus.topics.clear()
    cluster.open()
    cluster.subscribe('a')
    expect(bus.topics.size).toBe(1)
    await turn()
    expect(bus.topics.size).toBe(1)
  })
})
