import { type Kind, type Operation, operationOf, WEIGHTS } from './plan.js'
import { type Profile, profileOf } from './profile.js'
import type { Random } from './random.js'

/** Seeds from here on simulate rounds: short bursts with one kind of trouble. After each the faults stop for a while, and everything has to be right. */
export const FIRST_SEED_OF_ROUNDS = 2 ** 31

/** ms from the beginning of one round to that of the next. */
const ROUND = 60_000
/** ms of a round after which its faults stop. */
const BURST = 6_000
/** ms at the beginning of a round in which clients leave and arrive. */
const ARRIVAL = 150

interface Theme {
  /** Its operations, at most. */
  most: number
  weights: Partial<Record<Kind, number>>
}

/** What a round has more of than the others. */
const THEMES: readonly Theme[] = [
  { most: 20, weights: WEIGHTS },
  // Answers are lost while other nodes write.
  { most: 50, weights: { mute: 2, update: 20, http: 4, event: 14, connect: 2 } },
  // One client ends what another one uses.
  {
    most: 20,
    weights: { destroy: 3, regenerate: 2, login: 1, connect: 14, http: 6, idle: 2, event: 6, update: 3, mute: 1, lag: 2 },
  },
  // Clients arrive while others write.
  { most: 14, weights: { connect: 12, http: 8, update: 8, disconnect: 6, lag: 3, busSlow: 2, busDown: 1 } },
  { most: 20, weights: { storeDown: 3, busDown: 2, http: 8, event: 12, update: 6, connect: 6, flush: 1 } },
  { most: 20, weights: { close: 2, kill: 1, pause: 1, http: 8, update: 14, event: 10, connect: 6 } },
]

export function roundsProfileOf(random: Random): Profile {
  const profile = profileOf(random)
  const kind = random.weighted({ driver: 6, node: 2, plain: 2 })
  const isCalm = kind === 'node'
  return {
    ...profile,
    store: kind === 'plain' ? 'plain' : 'comparing',
    bus: kind === 'plain' ? 'none' : kind,
    nodes: kind === 'plain' ? 1 : random.between(2, 3),
    sessions: random.between(1, 2),
    losesMessages: false,
    faults: isCalm ? 0 : random.pick([0, 0.02, 0.15, 0.4]),
    slowness: isCalm ? 0 : profile.slowness,
    // Nothing that was missed is found by chance.
    revalidate: kind === 'plain' ? 10_000 : false,
    onChange: 'reload',
    maxAge: 3_600_000,
  }
}

/** The operations of a seed, in rounds. Each ends with `rest`. */
export function roundsOf(random: Random, count: number, { sessions, nodes, bus }: Profile): Operation[] {
  const operations: Operation[] = []
  const add = (at: number, kind: Kind, session = random.below(sessions)): void => {
    const operation = operationOf(random, operations.length, at, kind, random.below(nodes), session)
    operations.push({ ...operation, duration: durationOf(random, kind, operation.duration) })
  }
  for (let start = 0; operations.length < count; start += ROUND) {
    const pace = random.pick([1, 3, 20, 100])
    if (random.chance(0.5)) add(start, 'leave')
    for (let session = 0; session < sessions; session++) add(start, 'login', session)
    let at = start + ARRIVAL
    for (let left = random.below(4); left > 0; left--) add(at, 'connect')
    if (random.chance(0.7)) at += ARRIVAL
    const theme = random.pick(THEMES)
    for (let left = random.between(3, theme.most); left > 0; left--) {
      if (!random.chance(0.4)) at = Math.min(at + random.below(pace), start + BURST)
      add(at, random.weighted(theme.weights))
    }
    add(start + BURST, 'rest')
  }
  // What is not told by the node that wrote it, nobody finds.
  return bus === 'node'
    ? operations.filter(({ do: kind }) => kind !== 'kill' && kind !== 'mute' && kind !== 'storeDown')
    : operations
}

function durationOf(random: Random, kind: Kind, otherwise: number): number {
  switch (kind) {
    case 'mute':
      return random.between(5, random.pick([50, 500, 3000]))
    case 'lag':
      return random.between(50, 1000)
    case 'busSlow':
      return random.between(1000, 4000)
    case 'storeDown':
      return random.between(5, random.pick([50, 2000]))
    default:
      return otherwise
  }
}
