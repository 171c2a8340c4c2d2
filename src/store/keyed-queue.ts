import { storeTimeout } from '../util/timeout.js'

/** Keeps a lane closed until the promise has settled, whatever became of the job. */
export type KeepLocked = (until: Promise<unknown>) => void

interface Lane {
  /** Resolves when all jobs that are in the lane now are done. */
  tail: Promise<void>
  /** When a job last began or ended. */
  moved: number
}

const FREE = Promise.resolve()

/**
 * One lane per session id: jobs of a session run one after the other, those of different sessions side by side. What keeps two
 * read-merge-write cycles of this process apart on stores that cannot compare and set.
 */
export class KeyedQueue {
  readonly #lanes = new Map<string, Lane>()

  /** Is a job of this session under way or waiting? */
  busy(sid: string): boolean {
    return this.#lanes.has(sid)
  }

  /** The sessions of which a job is under way or waiting. */
  sids(): string[] {
    return [...this.#lanes.keys()]
  }

  /** Resolves when the jobs that are in the lane now are done. */
  idle(sid: string): Promise<void> {
    return this.#lanes.get(sid)?.tail ?? Promise.resolve()
  }

  /**
   * Runs a job when those before it are done.
   * @param patience how many ms the lane may stand still before the job is given up: it is not run then, and the promise rejects
   * with `STORE_TIMEOUT`. A long queue that moves is no reason. `undefined`: the job waits however long it takes
   * @returns what the job returns
   */
  run<T>(sid: string, patience: number | undefined, job: (hold: KeepLocked) => Promise<T>): Promise<T> {
    const waiting = this.#lanes.get(sid)
    const lane = waiting ?? { tail: FREE, moved: 0 }
    const before = lane.tail
    const holds: Promise<unknown>[] = []
    let begun = false
    const result = (waiting && patience !== undefined ? turn(lane, patience) : before).then(() => {
      begun = true
      lane.moved = performance.now()
      return job((until) => holds.push(until))
    })
    const ended = async (): Promise<void> => {
      if (begun) {
        if (holds.length > 0) await Promise.allSettled(holds)
        lane.moved = performance.now()
      } else {
        // Given up: as if it had never come, so that a store that never answers does not gather what came after.
        if (lane.tail === tail) lane.tail = before
        await before
      }
      if (lane.tail === tail) this.#lanes.delete(sid)
    }
    const tail: Promise<void> = result.then(ended, ended)
    lane.tail = tail
    this.#lanes.set(sid, lane)
    return result
  }
}

/** Resolves when the jobs before are done; rejects when none of them has begun or ended for so long. */
function turn(lane: Lane, patience: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout
    const look = (since: number): void => {
      const left = since + patience - performance.now()
      if (left <= 0) reject(storeTimeout('an earlier call for this session', patience))
      else timer = setTimeout(() => look(lane.moved), left).unref()
    }
    look(performance.now())
    lane.tail.then(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}
