import type { Random } from './random.js'

/** What a writer changes. Each change can be told from all others. */
export interface Edits {
  /** Adds an item to a list. */
  push: boolean
  /** Sets a key that nobody else sets. */
  key: boolean
  /** Adds 1 to a number whose concurrent changes are added up. */
  sum: boolean
  /** Deletes a key that was set before. */
  remove: boolean
}

export type Kind =
  | 'http'
  | 'idle'
  | 'update'
  | 'connect'
  | 'event'
  | 'reload'
  | 'disconnect'
  | 'destroy'
  | 'regenerate'
  | 'login'
  | 'flush'
  | 'kill'
  | 'close'
  | 'busDown'
  | 'storeDown'
  | 'pause'
  | 'jump'
  | 'mute'
  | 'lag'
  | 'busSlow'
  | 'leave'
  | 'rest'
  // Only of features.ts.
  | 'page'
  | 'drop'
  | 'tab'
  | 'cut'
  | 'say'
  | 'visit'
  | 'signIn'
  | 'signOut'
  // Only of rare.ts.
  | 'foreign'

/** Something that somebody does, or that happens to the machines. What it does not need is ignored. */
export interface Operation {
  number: number
  /** ms of the simulation. */
  at: number
  do: Kind
  node: number
  session: number
  /** Picks a socket. */
  socket: number
  edits: Edits
  /** ms that a request or a handler takes, or an outage lasts. */
  duration: number
  /** Two decisions of the operation's own. */
  first: boolean
  second: boolean
}

/** How often each is done. The last ones are a part of rounds only. */
export const WEIGHTS: Partial<Record<Kind, number>> = {
  http: 24,
  idle: 4,
  update: 10,
  connect: 13,
  event: 36,
  reload: 2,
  disconnect: 4,
  destroy: 1,
  regenerate: 1,
  login: 2,
  flush: 0.5,
  kill: 0.6,
  close: 0.3,
  busDown: 1,
  storeDown: 0.6,
  pause: 0.8,
  jump: 0.3,
  mute: 0,
  lag: 0,
  busSlow: 0,
  leave: 0,
  rest: 0,
}

/** Among the last operations: what one misses then, no later one makes good. */
const LAST = 10
const LAST_WEIGHTS: Partial<Record<Kind, number>> = { ...WEIGHTS, connect: 20, busDown: 10 }

/** The operations of a seed. */
export function planOf(
  random: Random,
  count: number,
  { sessions, nodes, pace }: { sessions: number; nodes: number; pace: number },
): Operation[] {
  let at = 0
  return Array.from({ length: count }, (_, number) => {
    const isStart = number < sessions
    const kind = isStart
      ? 'login'
      : number < sessions * 3
        ? 'connect'
        : random.weighted(number < count - LAST ? WEIGHTS : LAST_WEIGHTS)
    at += isStart || random.chance(0.4) ? 0 : random.chance(0.95) ? random.below(pace) : random.below(pace * 100)
    if (number === sessions) at += 20
    return operationOf(random, number, at, kind, random.below(nodes), isStart ? number : random.below(sessions))
  })
}

/** An operation with decisions of its own. */
export function operationOf(random: Random, number: number, at: number, kind: Kind, node: number, session: number): Operation {
  return {
    number,
    at,
    do: kind,
    node,
    session,
    socket: random.below(1000),
    edits: { push: random.chance(0.6), key: random.chance(0.5), sum: random.chance(0.3), remove: random.chance(0.2) },
    duration: durationOf(random),
    first: random.chance(0.5),
    second: random.chance(0.5),
  }
}

export function durationOf(random: Random): number {
  const dice = random.next()
  if (dice < 0.5) return 0
  return random.below(dice < 0.8 ? 10 : dice < 0.97 ? 200 : 4000)
}
