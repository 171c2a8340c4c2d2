import type { Client } from './store.js'
import type { World } from './world.js'

interface Job {
  what: string
  number: number
  node: Client
  begun: number
  ended: boolean
}

/** ms that an answer takes at most without faults. */
const LONGEST = 5000

/** What was asked for and has not been answered: each is answered once. */
export class Jobs {
  readonly open = new Set<Job>()
  readonly #world: World
  readonly #idle = new Map<Client, () => void>()
  #count = 0

  constructor(world: World) {
    this.#world = world
  }

  begin(what: string, node: Client): Job {
    const job = { what, number: ++this.#count, node, begun: this.#world.now, ended: false }
    this.#world.log(`${what} begins: job ${job.number}`)
    this.open.add(job)
    return job
  }

  /** Was its node killed meanwhile? Then nobody gets the answer. */
  isLost(job: Job): boolean {
    if (job.node.dead) this.open.delete(job)
    return job.node.dead
  }

  /** @returns whether somebody gets the answer */
  end(job: Job): boolean {
    if (job.ended) this.#world.violate(`${job.what} was answered twice`)
    job.ended = true
    this.#world.log(`job ${job.number} ends`)
    this.open.delete(job)
    const { dead } = job.node
    this.#onEnd(job.node)
    return !dead
  }

  /** Calls back when what the node was asked for is answered; perhaps at once. */
  whenIdle(node: Client, callback: () => void): void {
    this.#idle.set(node, callback)
    this.#onEnd(node)
  }

  #onEnd(node: Client): void {
    const callback = this.#idle.get(node)
    if (!callback || [...this.open].some((job) => job.node === node)) return
    this.#idle.delete(node)
    // What follows on an answer in its own step is still done.
    this.#world.after(100, undefined, 'node has ended', callback)
  }

  /** Those whose nodes are alive. A tab whose session has expired comes back at any time. */
  waiting(): string[] {
    const isLate = ({ node, begun }: Job): boolean => !node.dead && this.#world.now - begun > LONGEST
    return [...this.open].filter(isLate).map(({ what, number }) => `${what} (job ${number})`)
  }
}
