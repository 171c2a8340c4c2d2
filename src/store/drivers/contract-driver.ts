import type { Bus } from '../../bus.js'
import { expiryOf } from '../cookie-json.js'
import { Snapshot } from '../snapshot.js'
import type { OutgoingMessage, TtlPolicy } from '../transaction.js'
import type { CompareAndSetDriver, WriteResult } from './driver.js'
import type { StoreDriver, StoredSession, TouchedSession } from './store-driver.js'

/** A driver as the committer uses it: cookies, histories and etags are the library's. */
export class ContractDriver implements CompareAndSetDriver {
  readonly compares = true
  readonly readNow?: (sid: string, known?: Snapshot) => Snapshot | undefined
  readonly topic?: (sid: string) => string
  readonly #driver: StoreDriver

  constructor(driver: StoreDriver) {
    this.#driver = driver
    if (driver.readNow) this.readNow = (sid, known) => toSnapshot(driver.readNow?.(sid), known)
    if (driver.topic) this.topic = (sid) => (driver.topic as (sid: string) => string)(sid)
  }

  get name(): string {
    return this.#driver.name
  }

  get done(): readonly (null | undefined)[] | undefined {
    return this.#driver.done
  }

  get missingValue(): null | undefined {
    return this.#driver.missingValue
  }

  get opaque(): boolean {
    return this.#driver.opaque ?? true
  }

  get touchDisabled(): boolean | undefined {
    return this.#driver.touchDisabled
  }

  get touchChangesContent(): boolean {
    return this.#driver.touchChangesContent ?? false
  }

  get publishRefused(): boolean {
    return this.#driver.publishRefused ?? false
  }

  async read(sid: string): Promise<Snapshot | undefined> {
    return this.readNow ? this.readNow(sid) : toSnapshot(await this.#driver.read(sid))
  }

  async write(
    sid: string,
    snapshot: Snapshot,
    expected: Snapshot | undefined,
    ttl: TtlPolicy,
    message?: OutgoingMessage,
  ): Promise<WriteResult> {
    const text = snapshot.toText()
    const next = { text, expires: endOf(snapshot), atLeast: ttl === 'extend' }
    const before = expected && (expected.stored ?? { text: expected.toText() })
    const answer = this.#driver.writeNow?.(sid, next, before) ?? (await this.#driver.write(sid, next, before, message))
    if (answer.written) {
      const { stored = { text } } = answer
      return { written: true, current: stored.text === text ? snapshot.storedAs(stored) : Snapshot.stored(stored) }
    }
    const current = 'stored' in answer ? toSnapshot(answer.stored) : await this.read(sid)
    return { written: false, current, ...(answer.resent && { resent: true }) }
  }

  touch(sid: string, snapshot: Snapshot): Promise<boolean> {
    return this.#driver.touch(sid, endOf(snapshot), new Touched(snapshot))
  }

  destroy(sid: string, message?: OutgoingMessage): Promise<void> {
    return this.#driver.destroy(sid, message)
  }

  get readMany(): ((sids: readonly string[]) => Promise<(Snapshot | undefined)[]>) | undefined {
    const driver = this.#driver
    if (!driver.readMany) return undefined
    return async (sids) => ((await driver.readMany?.(sids)) ?? []).map((found) => toSnapshot(found))
  }

  bus(): Bus | undefined {
    return this.#driver.bus?.()
  }
}

class Touched implements TouchedSession {
  readonly #snapshot: Snapshot

  constructor(snapshot: Snapshot) {
    this.#snapshot = snapshot
  }

  get cookie(): Readonly<Record<string, unknown>> {
    return this.#snapshot.cookie
  }

  get text(): string {
    return this.#snapshot.toText()
  }
}

/** @param known is returned where it is what was found */
function toSnapshot(found: StoredSession | undefined, known?: Snapshot): Snapshot | undefined {
  if (found && known && found.text === known.text && found.token === undefined) return known
  return found && Snapshot.stored(found)
}

function endOf({ cookie }: Snapshot): Date | undefined {
  const end = expiryOf(cookie)
  return end === undefined ? undefined : new Date(end)
}
