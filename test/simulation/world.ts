import { Random } from './random.js'

/** A process of the simulation, as the scheduler sees it. */
export interface Process {
  readonly name: string
  /** Until then nothing of it runs, as when the process is stopped. */
  pausedUntil: number
}

/** Something that happens later. */
export class Event {
  at: number
  readonly process: Process | undefined
  readonly what: string
  readonly run: () => void
  readonly priority: number
  seq = 0
  cancelled = false

  constructor(at: number, process: Process | undefined, what: string, run: () => void, priority: number) {
    this.at = at
    this.process = process
    this.what = what
    this.run = run
    this.priority = priority
  }
}

/** Among the events of one moment, timers are in the middle: an answer comes before them as often as after them. */
const TIMER = 0.5

/** What a simulation has found to be wrong. */
export class ViolationError extends Error {}

const drain = (process as unknown as { _tickCallback(): void })._tickCallback

const PRIME = 0x01000193

/** A digest goes on with a text. */
function withText(digest: number, text: string): number {
  let next = digest
  for (let index = 0; index < text.length; index++) next = Math.imul(next ^ text.charCodeAt(index), PRIME)
  return next
}

/**
 * The simulated time, and all that happens in it, one event after the other. One seed decides the order. Between two events all promises
 * that can settle have settled: they are on the real queue of microtasks, which is drained.
 */
export class World {
  /** ms since the beginning. */
  now = 0
  /** ms by which the clock on the wall is wrong. */
  skew = 0
  /** Whose code runs. */
  current: Process | undefined
  steps = 0
  /** A digest of the log. */
  digest = 0x811c9dc5
  /** Without faults answers come soon, and everything happens once. */
  faulty = true
  readonly random: Random
  /** The lines of the log, where they are wanted. */
  readonly lines: string[] | undefined
  violation: ViolationError | undefined
  /** What still happens is of no interest. */
  isOver = false
  readonly #heap: Event[] = []
  readonly #immediates = new Map<Process | undefined, Event[]>()
  #seq = 0

  constructor(seed: number, keepsLog: boolean) {
    this.random = new Random(seed)
    this.lines = keepsLog ? [] : undefined
  }

  log(line: string): void {
    const { now, lines } = this
    const name = this.current?.name ?? '-'
    this.digest = withText(withText(Math.imul(this.digest ^ now, PRIME), name), line) >>> 0
    lines?.push(`${now} ${name} ${line}`)
  }

  /** Ends the run: the first violation is the one to look at. @param error what was thrown */
  violate(what: string, error?: unknown): void {
    if (this.violation || this.isOver) return
    this.violation = new ViolationError(what)
    this.log(`VIOLATION ${what}`)
    if (error instanceof Error) this.lines?.push(error.stack ?? '')
  }

  /** Something that comes from outside of a process. */
  after(ms: number, process: Process | undefined, what: string, run: () => void): Event {
    return this.#push(new Event(this.now + ms, process, what, run, this.random.next()))
  }

  timer(ms: number, run: () => void): Event {
    const delay = ms >= 1 && ms < 2 ** 31 ? Math.trunc(ms) : 1
    return this.#push(new Event(this.now + delay, this.current, 'timer', run, TIMER))
  }

  /** Immediates of one process run in the order in which they were asked for. */
  immediate(run: () => void): Event {
    const { current } = this
    let queue = this.#immediates.get(current)
    if (!queue) {
      queue = []
      this.#immediates.set(current, queue)
    }
    const first = queue
    const event = new Event(this.now, current, 'immediate', run, 0)
    queue.push(event)
    this.#push(
      new Event(
        this.now,
        current,
        'immediate',
        () => {
          const next = first.shift()
          if (next && !next.cancelled) next.run()
        },
        this.random.next(),
      ),
    )
    return event
  }

  /** How many events are to come. */
  get pending(): number {
    return this.#heap.length
  }

  /** Runs what happens until that moment. @param most steps. @returns whether that was enough */
  runUntil(moment: number, most: number, afterEach: () => void): boolean {
    for (let step = 0; step < most; step++) {
      const event = this.#heap[0]
      if (!event || event.at > moment || (this.violation && !this.isOver)) {
        this.now = Math.max(this.now, Math.min(moment, event ? event.at : this.now))
        return true
      }
      this.#pop()
      if (event.cancelled) continue
      const { process } = event
      if (process && process.pausedUntil > this.now && process.pausedUntil > event.at) {
        event.at = process.pausedUntil
        this.#insert(event)
        continue
      }
      this.now = Math.max(this.now, event.at)
      this.steps++
      this.current = process
      this.log(event.what)
      event.run()
      drain()
      afterEach()
      this.current = undefined
    }
    return false
  }

  /** Runs code of a process at once, as if it were an event. */
  as<T>(process: Process | undefined, run: () => T): T {
    const { current } = this
    this.current = process
    try {
      const result = run()
      drain()
      return result
    } finally {
      this.current = current
    }
  }

  #push(event: Event): Event {
    event.seq = ++this.#seq
    this.#insert(event)
    return event
  }

  #insert(event: Event): void {
    const heap = this.#heap
    let index = heap.length
    heap.push(event)
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!isBefore(event, heap[parent] as Event)) break
      heap[index] = heap[parent] as Event
      index = parent
    }
    heap[index] = event
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop() as Event
    if (heap.length === 0) return
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event)) child++
      if (!isBefore(heap[child] as Event, last)) break
      heap[index] = heap[child] as Event
      index = child
    }
    heap[index] = last
  }
}

function isBefore(a: Event, b: Event): boolean {
  if (a.at !== b.at) return a.at < b.at
  if (a.priority !== b.priority) return a.priority < b.priority
  return a.seq < b.seq
}
