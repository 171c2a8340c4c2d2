/** A timer that is so late, in ms, does not come any more. */
const MAX_LATENESS = 60_000

/** The deadlines that are as far away as each other when they begin: they come in that order, so that one timer is enough for all of them. */
class Deadlines {
  readonly #ms: number
  #first: Deadline | undefined
  #last: Deadline | undefined
  /** When the timer is to run. */
  #due = 0

  /** @param ms from the beginning of a deadline to its moment */
  constructor(ms: number) {
    this.#ms = ms
    this.#wait(performance.now(), ms)
  }

  add(deadline: Deadline): void {
    const now = deadline.at - this.#ms
    // The timer was lost, with a fake clock for example.
    if (now > this.#due + MAX_LATENESS) this.#wait(now, this.#ms)
    deadline.before = this.#last
    if (this.#last) this.#last.after = deadline
    else this.#first = deadline
    this.#last = deadline
  }

  remove(deadline: Deadline): void {
    const { before, after } = deadline
    if (before) before.after = after
    else this.#first = after
    if (after) after.before = before
    else this.#last = before
    // An old one that nobody needs any more would keep the younger ones in memory.
    deadline.before = undefined
    deadline.after = undefined
  }

  #wait(now: number, ms: number): void {
    this.#due = now + ms
    setTimeout(() => this.#check(), ms).unref()
  }

  /** Runs while there are deadlines. A timer that finds none is cheaper than stopping one each time. */
  #check(): void {
    const now = performance.now()
    while (this.#first && this.#first.at <= now) this.#first.end()
    if (this.#first) this.#wait(now, Math.ceil(this.#first.at - now))
    else all.delete(this.#ms)
  }
}

/** By their length in ms. */
const all = new Map<number, Deadlines>()

/**
 * Calls back after a while, unless it is cancelled. Cheaper than a timer where most are cancelled soon, and many have the same length. It does
 * not keep the process running.
 */
export class Deadline {
  readonly at: number
  before: Deadline | undefined
  after: Deadline | undefined
  /** Has it called back? */
  isOver = false
  #onOver: (() => void) | undefined
  #all: Deadlines | undefined

  /** @param ms until it calls back */
  constructor(ms: number, onOver: () => void) {
    this.at = performance.now() + ms
    this.#onOver = onOver
    let same = all.get(ms)
    if (!same) {
      same = new Deadlines(ms)
      all.set(ms, same)
    }
    this.#all = same
    same.add(this)
  }

  cancel(): void {
    this.#all?.remove(this)
    this.#all = undefined
    this.#onOver = undefined
  }

  /** Its moment has come. */
  end(): void {
    const onOver = this.#onOver
    this.cancel()
    this.isOver = true
    onOver?.()
  }
}
