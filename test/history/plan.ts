import type { Change, Place, Step } from './history.js'
import { Random } from './random.js'

/** Who asks: browsers by HTTP, sockets, and callers of `update()`, which are one of both. */
export interface ClientPlan {
  name: string
  kind: 'http' | 'socket' | 'update'
  /** The steps one by one; they depend on nothing but the seed. */
  next(): Step
}

/** The clients of a run. */
export function planClients(
  seed: number,
  processes: number,
  each: { http: number; socket: number; update: number },
): ClientPlan[] {
  const plans: ClientPlan[] = []
  for (const kind of ['http', 'socket', 'update'] as const) {
    for (let number = 0; number < each[kind]; number++) plans.push(new Plan(seed, kind, number, processes, each[kind]))
  }
  return plans
}

/** Those that have to be made are first: all clients begin at once. */
const CONTAINERS = ['made', 'list', 'top', 'words', 'bag', 'items'] as const

class Plan implements ClientPlan {
  readonly name: string
  readonly kind: 'http' | 'socket' | 'update'
  readonly #random: Random
  readonly #home: number
  readonly #processes: number
  readonly #peers: number
  readonly #mine: Place[] = []
  #count = 0

  constructor(seed: number, kind: ClientPlan['kind'], number: number, processes: number, peers: number) {
    this.name = `${kind}${number}`
    this.kind = kind
    this.#random = new Random(seed, this.name)
    // A socket stays with its process.
    this.#home = number % processes
    this.#processes = processes
    this.#peers = peers
  }

  next(): Step {
    const random = this.#random
    const by = this.kind === 'socket' || (this.kind === 'update' && random.chance(0.5)) ? 'socket' : 'http'
    const process = by === 'socket' ? this.#home : random.below(this.#processes)
    const reads = random.chance(0.3)
    const via = reads || this.kind !== 'update' ? (by === 'socket' ? 'live' : 'http') : 'update'
    const changes = reads ? [] : this.#changes()
    const slow = random.chance(0.25)
    return {
      changes,
      via,
      by,
      process,
      resave: by === 'http' && random.chance(0.3),
      saveAfter: changes.length > 0 && via !== 'update' && random.chance(0.3) ? random.below(changes.length) + 1 : undefined,
      before: slow ? random.below(40) : 0,
      after: random.chance(0.15) ? random.below(20) : 0,
    }
  }

  #changes(): Change[] {
    const random = this.#random
    const count = 1 + random.below(3)
    const changes: Change[] = []
    for (let index = 0; index < count; index++) {
      const change = this.#change(index)
      // Two changes of one place in one step would leave open which of them a reader has to see.
      const taken = changes.some((other) => placeOf(other) !== undefined && placeOf(other) === placeOf(change))
      if (!taken) changes.push(change)
    }
    return changes
  }

  #change(index: number): Change {
    const random = this.#random
    const dice = random.next()
    const counts = this.kind === 'update' ? 0.6 : 0.1
    if (dice < counts) return { do: 'increment', counter: random.pick(['a', 'b']) }
    if (random.chance(0.3)) return { do: 'delete', place: this.#known() }
    // Set again what may have been deleted; elements of lists are new each time.
    const again = random.chance(0.1) ? this.#known() : undefined
    const place = again && (again.in === 'top' || again.in === 'bag') ? again : this.#fresh()
    return { do: 'set', place, value: `${this.name}-${this.#count}-${index}` }
  }

  #fresh(): Place {
    const count = this.#count++
    // By its number, so that others know where it is.
    const kind = CONTAINERS[count % CONTAINERS.length]!
    // Each of these but once by each client: who comes first makes it, and mostly several do.
    const container = kind === 'made' || kind === 'list' ? (`${kind}${Math.floor(count / CONTAINERS.length)}` as const) : kind
    const place: Place = { in: container, name: `${this.name}_${count}` }
    this.#mine.push(place)
    return place
  }

  /** Something that this client has written, or that another one may have. */
  #known(): Place {
    const random = this.#random
    const recent = this.#mine.slice(-12)
    if (recent.length === 0) return { in: 'bag', name: `${this.name}_none` }
    const place = random.pick(recent)
    if (random.chance(0.75)) return place
    return { ...place, name: place.name.replace(/\d+_/, `${random.below(this.#peers)}_`) }
  }
}

function placeOf(change: Change): string | undefined {
  return change.do === 'increment' ? `counters.${change.counter}` : `${change.place.in}.${change.place.name}`
}
