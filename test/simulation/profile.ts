import type { Random } from './random.js'

/** What kind of simulation a seed makes. */
export interface Profile {
  /** A store that compares and sets, or one that cannot. */
  store: 'comparing' | 'plain'
  /** The store does nothing on a touch. */
  touchDisabled: boolean
  nodes: number
  sessions: number
  /** Who publishes: the driver in the step of its write, each node after it, or nobody. */
  bus: 'driver' | 'node' | 'none'
  isPublic: boolean
  maxBusBytes: number | undefined
  /** Messages are lost without a gap: only the next revalidation finds that out. */
  losesMessages: boolean
  /** Share of the store's calls that go wrong. */
  faults: number
  /** Share of calls that take seconds. */
  slowness: number
  /** Share of messages that are late or doubled. */
  busFaults: number
  revalidate: number | false
  timeout: number
  attempts: number
  autoSave: boolean
  onChange: 'reload' | 'notify'
  /** Maximum age of a session in ms. */
  maxAge: number
  /** ms between two operations, mostly. */
  pace: number
  /** While the answers to a node are lost: the share of its calls that are lost as well, 0.3 where it is omitted. */
  mutedCallsLost?: number
  /** How often each kind of fault is, where it is not as often as usual. */
  faultWeights?: { late: number; never: number }
  /** The store answers all calls in the end: no save stays in doubt. */
  answersAll?: boolean
  /** After each round all sessions have to be writable. */
  checksWrites?: boolean
}

export function profileOf(random: Random): Profile {
  const store = random.chance(0.75) ? 'comparing' : 'plain'
  const losesMessages = random.chance(0.3)
  const bus = store === 'plain' ? random.pick(['node', 'none'] as const) : random.weighted({ driver: 5, node: 4, none: 1 })
  const calm = random.chance(0.3)
  // A message may be missed for ever where it is not published in the step of the write, and where no gap is told.
  const isComplete = bus === 'driver' && !losesMessages
  const profile: Profile = {
    store,
    touchDisabled: random.chance(0.1),
    // What cannot be compared can be undone by another process, and nothing can be said about it.
    nodes: store === 'plain' ? 1 : random.weighted({ 1: 1, 2: 4, 3: 2 }) === '1' ? 1 : random.chance(0.7) ? 2 : 3,
    sessions: random.between(1, 3),
    bus,
    isPublic: random.chance(0.15),
    maxBusBytes: random.chance(0.15) ? random.pick([200, 400]) : undefined,
    losesMessages,
    faults: calm ? 0 : random.pick([0.02, 0.05, 0.15, 0.3]),
    slowness: random.pick([0, 0, 0.003, 0.02]),
    busFaults: random.pick([0, 0.1, 0.4]),
    revalidate: !isComplete || random.chance(0.3) ? random.pick([2000, 10_000, 60_000]) : false,
    timeout: random.pick([300, 1000, 5000]),
    attempts: random.pick([1, 3, 5]),
    autoSave: random.chance(0.85),
    onChange: random.chance(0.85) ? 'reload' : 'notify',
    maxAge: random.weighted({ long: 6, short: 1, shorter: 1 }) === 'long' ? 3_600_000 : random.pick([3000, 20_000]),
    pace: random.pick([1, 3, 20, 200]),
  }
  // Where nothing goes wrong in the store, each write is told, and a node that nobody kills tells it.
  const tellsAll = bus === 'node' && !losesMessages && calm && profile.slowness === 0
  if (tellsAll) profile.revalidate = false
  return profile
}
