import type { Operation } from './history.js'

/**
 * While it is not known how a save of a live session ended, nothing of others is merged into the session: it shows what its own sockets wrote, on
 * what the store held before. That ends with the next save whose outcome is known.
 */
export class Doubts {
  readonly #writes: Operation[]
  /** Where everything was acknowledged, nothing was in doubt. */
  readonly #areThere: boolean

  constructor(operations: readonly Operation[]) {
    this.#areThere = operations.some(({ completed }) => completed === undefined)
    this.#writes = operations.filter(({ via, changes }) => via === 'live' && changes.some(isOfSession))
  }

  /** May the live session that an operation has seen have been in doubt? */
  concern({ process, invoked, completed = Infinity }: Operation): boolean {
    if (!this.#areThere) return false
    const before = this.#writes.filter((write) => write.process === process && write.invoked < completed)
    const isOpen = (write: Operation): boolean => write.completed === undefined || write.completed > invoked
    return before.some((write) => isOpen(write) && !before.some((next) => next.invoked > write.invoked && !isOpen(next)))
  }
}

/** An increment is an `update()`, also in an event. */
function isOfSession({ do: what }: Operation['changes'][number]): boolean {
  return what !== 'increment'
}
