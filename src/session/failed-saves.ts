import { warnOnce } from '../debug.js'
import { SharedSessionError } from '../errors.js'
import { evictOldest } from '../util/bounded-map.js'
import type { SessionReplica } from './replica.js'

/** While a store is down, visitors come and go: more than that many sessions are not held for it. */
const MOST = 10_000

/** The sessions of which something could not be saved: held here, and with them their changes, when nobody else needs them. */
export class FailedSaves {
  readonly #errors = new Map<SessionReplica, SharedSessionError>()
  #dropped = 0

  add(live: SessionReplica, error: SharedSessionError): void {
    this.#errors.delete(live)
    this.#errors.set(live, error)
    if (!evictOldest(this.#errors, MOST)) return
    this.#dropped++
    warnOnce(
      'unsaved',
      `More than ${MOST} sessions could not be saved. The oldest are let go, with their changes, as their sockets leave.`,
    )
  }

  delete(live: SessionReplica): void {
    this.#errors.delete(live)
  }

  /** Asks each of them for another save; those that fail come back by {@link add}. */
  retry(): void {
    const sessions = [...this.#errors.keys()]
    this.#errors.clear()
    for (const live of sessions) live.save().catch(() => undefined)
  }

  /** Throws `SAVE_FAILED` with what could not be saved. */
  assertNone(): void {
    const failed = [...this.#errors.values()]
    const letGo = this.#dropped
    this.#dropped = 0
    if (failed.length + letGo === 0) return
    const more = letGo > 0 ? ` Those of ${letGo} more were let go.` : ''
    throw new SharedSessionError(
      'SAVE_FAILED',
      `Of ${failed.length} session(s) the changes could not be saved; they are kept in memory.${more}`,
      { cause: new AggregateError(failed) },
    )
  }
}
