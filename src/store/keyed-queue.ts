import { Deadline } from '../util/deadline.js'
import { storeTimeout } from './store-timeout.js'

/** Keeps the key locked until the promise has settled, also after the job has ended. A job calls it once at most. */
export type KeepLocked = (until: Promise<unknown>) => void

interface Queue {
  /** Resolves when all jobs that are queued now are done. */
  tail: Promise<void>
  /** When a job last began or ended. */
  lastProgress: number
}

const FREE = Promise.resolve()

/**
 * A queue for each session id: jobs of a session run one after the other, those of different sessions at the same time. A running job holds
 * the session's lock, and may keep it for longer. On a store that
 * cannot compare and set, this keeps two read-merge-write cycles of this process apart.
 */
export class KeyedQueue {
  readonly #queues = new Map<string, Queue>()

  /** Is a job of this session running or waiting? */
  busy(sid: string): boolean {
    return this.#queues.has(sid)
  }

  /** The sessions of which a job is running or waiting. */
  sids(): string[] {
    return [...this.#queues.keys()]
  }

  /** Resolves when the jobs that are queued now are done. */
  idle(sid: string): Promise<void> {
    return this.#queues.get(sid)?.tail ?? Promise.resolve()
  }

  /**
   * Runs a job when those before it are done.
   * @param stallTimeout ms without progress after which the job is given up and never run. A long queue that progresses is no reason.
   * `undefined`: the job waits however long it takes
   * @returns the job's result
   * @throws `STORE_TIMEOUT` for a job that is given up
   */
  run<T>(sid: string, stallTimeout: number | undefined, job: (keepLocked: KeepLocked) => Promise<T>): Promise<T> {
    const waiting = this.#queues.get(sid)
    const queue = waiting ?? { tail: FREE, lastProgress: 0 }
    const before = queue.tail
    let lock: Promise<unknown> | undefined
    let begun = false
    const result = (waiting && stallTimeout !== undefined ? waitForJobs(queue, stallTimeout) : before).then(() => {
      begun = true
      queue.lastProgress = performance.now()
      return job((until) => {
        lock = until
      })
    })
    const release = (): void => {
      if (begun) queue.lastProgress = performance.now()
      if (queue.tail === tail) this.#queues.delete(sid)
    }
    const ended = (): Promise<void> | void => {
      if (begun) return lock ? lock.then(release, release) : release()
      // Given up: as if it had never been queued, so that jobs do not pile up behind a store that never answers.
      if (queue.tail === tail) queue.tail = before
      return before.then(release)
    }
    const tail: Promise<void> = result.then(ended, ended)
    queue.tail = tail
    this.#queues.set(sid, queue)
    return result
  }
}

/** Resolves when the jobs before are done; rejects after so many ms in which none of them has begun or ended. */
function waitForJobs(queue: Queue, stallTimeout: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let deadline: Deadline
    const check = (): void => {
      const left = queue.lastProgress + stallTimeout - performance.now()
      if (left <= 0) reject(storeTimeout('an earlier call for this session', stallTimeout))
      else deadline = new Deadline(Math.ceil(left), check)
    }
    deadline = new Deadline(stallTimeout, check)
    queue.tail.then(() => {
      deadline.cancel()
      resolve()
    })
  })
}
