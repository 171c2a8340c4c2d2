import type { Kind, Operation } from './plan.js'
import { durationOf } from './plan.js'
import type { Profile } from './profile.js'
import { Random } from './random.js'
import { FIRST_SEED_OF_RARE_ORDERS } from './rare.js'

/** Seeds from here on have pages with mirrors as well: what else a seed means is what the rest of it means without them. */
export const FIRST_SEED_OF_PAGES = 2 ** 32

/** And from here on browsers: with cookies, HTTP requests through express-session, and tabs whose connections are recovered. */
export const FIRST_SEED_OF_BROWSERS = 2 ** 33

/** And from here on items are objects, and removed, as in a cart that several writers change. The even ones are rounds. */
export const FIRST_SEED_OF_LISTS = 2 ** 35

/** What the simulations of these seeds have beside their profile. */
export interface Features {
  pages?: PageFeatures
  browsers?: BrowserFeatures
}

export interface PageFeatures {
  /** See the option of that name, in ms. */
  publishInterval: number
  /** Share of packets after which a connection takes no more for a while. */
  slowPages: number
}

export interface BrowserFeatures {
  /** Socket.IO's connection state recovery. */
  recovery: { skipMiddlewares: boolean; maxDisconnectionDuration: number } | undefined
  /** Share of tabs that poll: each of their packets brings the cookies that the browser has by then. */
  polling: number
}

interface More {
  /** The first operation of each session, and of each browser. */
  first: Kind
  weights: Partial<Record<Kind, number>>
  /** One operation for so many of the rest. */
  every: number
}

const PAGES: More = { first: 'page', weights: { page: 6, drop: 5 }, every: 5 }
const BROWSERS: More = {
  first: 'tab',
  weights: { tab: 5, cut: 5, say: 8, visit: 7, signIn: 2, signOut: 1 },
  every: 2,
}

/** Drawn on their own, so that what else a seed means does not depend on them. */
export function featuresOf(seed: number): Features | undefined {
  if (seed < FIRST_SEED_OF_PAGES || seed >= FIRST_SEED_OF_RARE_ORDERS) return undefined
  const random = new Random(seed ^ 0x51f15eed)
  if (seed < FIRST_SEED_OF_BROWSERS)
    return { pages: { publishInterval: random.pick([0, 0, 20, 500]), slowPages: random.pick([0, 0.1, 0.5]) } }
  const skipMiddlewares = random.chance(0.7)
  const recovery = { skipMiddlewares, maxDisconnectionDuration: random.pick([1000, 120_000]) }
  return { browsers: { recovery: random.chance(0.7) ? recovery : undefined, polling: random.pick([0, 0.5, 1]) } }
}

/** More operations, at moments between the others. */
export function withMoreOperations(
  seed: number,
  plan: readonly Operation[],
  { sessions, nodes }: Profile,
  { browsers }: Features,
): Operation[] {
  const { first, weights, every } = browsers ? BROWSERS : PAGES
  const random = new Random(seed ^ 0x0be5e551)
  const last = plan.length > 0 ? (plan[plan.length - 1] as Operation).at : 0
  const more = Array.from({ length: Math.ceil(plan.length / every) }, (_, index): Operation => {
    const isFirst = index < sessions
    return {
      number: plan.length + index,
      at: isFirst ? 21 + random.below(50) : random.below(last + 1),
      do: isFirst ? first : random.weighted(weights),
      node: random.below(nodes),
      session: isFirst ? index : random.below(sessions),
      socket: random.below(1000),
      edits: { push: random.chance(0.6), key: random.chance(0.5), sum: random.chance(0.3), remove: random.chance(0.2) },
      duration: durationOf(random),
      first: random.chance(0.5),
      second: random.chance(0.5),
    }
  })
  // Those of one moment stay in the order of their numbers.
  return [...plan, ...more].sort((a, b) => a.at - b.at || a.number - b.number)
}

/** What a session publishes: no keys. */
export function publish({ items = [], sum = 0, n = 0 }: Record<string, any>): object {
  return { count: items.length, items, numbers: { n, sum } }
}
