import { SharedSessionError } from '../errors.js'
import type { LiveSession } from './live.js'

/** The sessions of which something could not be saved: held here, and with them their changes, when nobody else needs them. */
export class Unsaved {
  readonly #errors = new Map<LiveSession, SharedSessionError>()

  add(live: LiveSession, error: SharedSessionError): void {
    this.#errors.set(live, error)
  }

  delete(live: LiveSession): void {
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
    if (failed.length === 0) return
    throw new SharedSessionError(
      'SAVE_FAILED',
      `Of ${failed.length} session(s) the changes could not be saved; they are kept in memory.`,
      { cause: new AggregateError(failed) },
    )
  }
}
