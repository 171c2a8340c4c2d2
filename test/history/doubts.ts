import type { Operation } from './history.js'

/**
 * While it is not known how a save of a live session ended, nothing of others is merged into the session: it shows what its own sockets wrote, on
 * what the store held before. That ends with the next save whose outcome is known, and with the process.
 */
export class Doubts {
  readonly #writes: Operation[]
  /** Where everything was acknowledged, nothing was in doubt. */
  readonly #areThere: boolean

  constructor(operations: readonly Operation[]) {
    this.#areThere = operations.some(({ completed }) => completed === undefined)
    this.#writes = operations.filter(
      ({ via, changes, effects }) =>
        via === 'live' && changes.some((change, index) => isOfSession(change) && effects?.[index] !== false),
    )
  }

  /**
   * From when on the live session that an operation has seen may have been in doubt. What its process had acknowledged by then is in it.
   * @returns Infinity where it was not
   */
  since({ process, generation, invoked, completed = Infinity }: Operation): number {
    if (!this.#areThere) return Infinity
    const before = this.#writes.filter(
      (write) => write.process === process && write.generation === generation && write.invoked < completed,
    )
    const isOpen = (write: Operation): boolean => write.completed === undefined || write.completed > invoked
    const settled = before.findLast((write) => !isOpen(write))?.invoked ?? -1
    return before.find((write) => isOpen(write) && write.invoked > settled)?.invoked ?? Infinity
  }
}

/** An increment is an `update()`, also in an event. What changed nothing, as the deletion of what was not there, was not saved. */
function isOfSession({ do: what }: Operation['changes'][number]): boolean {
  return what !== 'increment'
}
