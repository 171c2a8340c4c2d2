import { type Kind, type Operation, operationOf } from './plan.js'
import { type Profile, profileOf } from './profile.js'
import type { Random } from './random.js'

/** Seeds from here on simulate rounds as well, each with one order of events that chance alone makes too seldom. */
export const FIRST_SEED_OF_RARE_ORDERS = 2 ** 34

/** ms of a round after which its faults stop, mostly, and from then to the next round. */
const [BURST, PAUSE] = [6_000, 54_000]
/** ms until the session is there, and until its sockets are. */
const [LOGGED_IN, CONNECTED] = [150, 300]

/** Plans something of a round. @param at ms since it began */
type Add = (at: number, kind: Kind, node: number, given?: Partial<Operation>) => void

interface Order {
  /** ms of a round after which its faults stop: {@link BURST}, if omitted. */
  burst?: number
  profile: (random: Random) => Partial<Profile>
  plan: (add: Add, random: Random) => void
}

const WRITE = { push: true, key: true, sum: false, remove: false }
/** A handshake with the session's cookie, after which nobody uses the session. */
const SILENT = { edits: WRITE, first: false, second: true, duration: 0 }
/** A handler that writes at once, and calls its ack later. */
const lateAck = (random: Random): Partial<Operation> => ({
  edits: WRITE,
  first: true,
  second: false,
  duration: random.between(1, 250),
})

/** The first node is the one in trouble, the second one writes. */
const ORDERS: Record<string, Order> = {
  /** The answers to a node are lost until the history has forgotten its write. Acks are called before and after that is known. */
  unknownOutcomes: {
    profile: (random) => ({ attempts: random.pick([1, 3, 5]), timeout: 5000, mutedCallsLost: random.pick([0.3, 0.8]) }),
    plan: (add, random) => {
      add(LOGGED_IN, 'connect', 0, SILENT)
      if (random.chance(0.3)) add(LOGGED_IN, 'connect', 0, SILENT)
      const duration = random.between(60, 300)
      add(CONNECTED, 'mute', 0, { duration })
      const pace = random.pick([1, 10, 50])
      let at = CONNECTED
      for (let left = random.between(2, 6); left > 0; left--) {
        at += random.below(pace)
        add(at, 'event', 0, lateAck(random))
      }
      for (let left = random.between(10, 16); left > 0; left--) add(CONNECTED + random.below(60), 'update', 1)
    },
  },
  /** The same, and the handlers save when their sockets have gone. */
  lostLateSaves: {
    profile: (random) => ({ attempts: random.pick([1, 3, 5]), timeout: 5000, mutedCallsLost: 0.8, autoSave: false }),
    plan: (add, random) => {
      add(LOGGED_IN, 'connect', 0, SILENT)
      if (random.chance(0.5)) add(LOGGED_IN, 'connect', 0, SILENT)
      add(CONNECTED, 'mute', 0, { duration: random.between(100, 500) })
      // The first save waits for its turn, and takes along what is written until then.
      for (let left = random.below(3); left > 0; left--) add(CONNECTED, 'update', 0)
      const pace = random.pick([1, 10])
      for (let left = random.between(3, 8); left > 0; left--)
        add(CONNECTED + random.below(pace), 'event', 0, {
          ...lateAck(random),
          second: random.chance(0.7),
          duration: random.between(pace + 2, 298),
        })
      add(CONNECTED + pace, 'leave', 0)
      for (let left = random.between(10, 16); left > 0; left--) add(CONNECTED + random.below(300), 'update', 1)
    },
  },
  /** Each answer comes, but later than it is waited for. */
  lateAnswers: {
    profile: (random) => ({ attempts: random.pick([1, 2]), timeout: 100, answersAll: true }),
    plan: (add, random) => {
      for (let left = random.between(1, 3); left > 0; left--) add(LOGGED_IN, 'connect', 0, SILENT)
      add(CONNECTED, 'lag', 0, { duration: random.between(10, 400) })
      for (let left = random.between(1, 5); left > 0; left--) add(CONNECTED + random.below(200), 'event', 0)
      for (let left = random.below(4); left > 0; left--) add(CONNECTED + random.below(200), 'update', 1)
    },
  },
  /** A subscription takes so long that the handshake has read the session before, and something is committed in between. */
  lateSubscription: {
    profile: () => ({}),
    plan: (add, random) => {
      add(LOGGED_IN, 'busSlow', 0, { duration: 4000 })
      add(LOGGED_IN, 'connect', 0, SILENT)
      for (let left = random.between(1, 3); left > 0; left--) add(LOGGED_IN + random.between(900, 3200), 'update', 1)
    },
  },
  /** A session is read in its turn while a batch has read it already, and nothing is told of it afterwards. */
  overtakenBatch: {
    profile: () => ({ isPublic: true }),
    plan: (add, random) => {
      for (let left = random.between(1, 2); left > 0; left--) add(LOGGED_IN, 'connect', 0, SILENT)
      add(CONNECTED, 'lag', 0, { duration: 5000 })
      for (let left = random.between(2, 3); left > 0; left--) add(CONNECTED + random.below(300), 'update', 1)
      for (let left = random.between(1, 4); left > 0; left--) add(CONNECTED + random.below(400), 'reload', 0)
    },
  },
  /** A handshake has read, others write, also without this package, and a later handshake is faster. */
  handshakes: {
    profile: (random) => ({ isPublic: random.chance(0.3) }),
    plan: (add, random) => {
      for (let left = random.between(0, 12); left > 0; left--) add(LOGGED_IN, 'update', 1)
      let at = CONNECTED
      add(at, 'connect', 0, { ...SILENT, duration: random.between(50, 200) })
      at += random.between(5, 15)
      if (random.chance(0.8)) add(at, 'foreign', 1)
      for (let left = random.between(1, 2); left > 0; left--) {
        at += random.between(1, 5)
        add(at, 'update', 1)
      }
      add(at + random.between(10, 70), 'connect', 0, SILENT)
    },
  },
  /** Handlers first use their session when their socket has gone, and others have come. */
  lateHandlers: {
    profile: (random) => ({ attempts: 1, faults: random.pick([0, 0.15]) }),
    plan: (add, random) => {
      let at = LOGGED_IN
      for (let left = random.between(2, 4); left > 0; left--) {
        add(at, 'connect', 0, SILENT)
        at += random.between(15, 40)
        for (let more = random.between(1, 2); more > 0; more--)
          add(at, 'event', 0, { edits: WRITE, first: random.chance(0.5), second: true, duration: random.between(20, 250) })
        at += random.below(10)
        if (random.chance(0.8)) add(at, 'leave', 0)
        if (random.chance(0.5)) add(at + random.below(200), 'update', random.below(2))
        at += random.below(40)
      }
      add(at + random.below(300), 'connect', 0, SILENT)
    },
  },
  /** A write arrives late at a store that cannot compare, and what restores the session is never answered. */
  lateWrites: {
    burst: 25_000,
    profile: () => ({
      store: 'plain',
      bus: 'none',
      nodes: 1,
      revalidate: 10_000,
      timeout: 300,
      attempts: 1,
      faults: 0.4,
      faultWeights: { late: 8, never: 8 },
      checksWrites: true,
    }),
    plan: (add, random) => {
      for (let left = random.below(2); left > 0; left--) add(LOGGED_IN, 'connect', 0, SILENT)
      for (let left = random.between(6, 14); left > 0; left--)
        add(CONNECTED + random.below(20_000), random.pick(['update', 'http', 'event'] as const), 0)
    },
  },
  /** A node is closed while many updates wait for their turn. */
  closing: {
    profile: () => ({ timeout: 300, attempts: 1 }),
    plan: (add, random) => {
      for (let left = random.between(1, 2); left > 0; left--) add(LOGGED_IN, 'connect', 1, SILENT)
      add(CONNECTED, 'lag', 0, { duration: 5000 })
      for (let left = random.between(3, 12); left > 0; left--) add(CONNECTED + random.below(20), 'update', 0)
      add(CONNECTED + random.below(100), 'close', 0)
    },
  },
}

function orderOf(random: Random): Order {
  return ORDERS[random.pick(Object.keys(ORDERS))] as Order
}

/** The profile and the operations of a seed, in rounds. Each ends with `rest`. */
export function rareOrderOf(random: Random, count: number): { profile: Profile; plan: Operation[] } {
  const { burst = BURST, profile: special, plan } = orderOf(random)
  const profile: Profile = {
    ...profileOf(random),
    store: 'comparing',
    touchDisabled: false,
    nodes: 2,
    sessions: 1,
    bus: 'driver',
    isPublic: false,
    maxBusBytes: undefined,
    losesMessages: false,
    faults: 0,
    slowness: 0,
    busFaults: 0,
    revalidate: false,
    timeout: 1000,
    autoSave: true,
    onChange: 'reload',
    maxAge: 3_600_000,
    ...special(random),
  }
  const operations: Operation[] = []
  for (let start = 0; operations.length < count; start += burst + PAUSE) {
    const round: Operation[] = []
    const add: Add = (at, kind, node, given) =>
      void round.push({ ...operationOf(random, 0, start + at, kind, node % profile.nodes, 0), ...given })
    add(0, 'leave', 0)
    add(0, 'login', 0)
    plan(add, random)
    add(burst, 'rest', 0)
    round.sort((a, b) => a.at - b.at)
    for (const operation of round) operations.push({ ...operation, number: operations.length })
  }
  return { profile, plan: operations }
}
