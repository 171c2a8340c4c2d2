import type { Bus } from '../../bus.js'
import { expiryOf } from '../cookie-json.js'
import { Snapshot } from '../snapshot.js'
import type { TtlPolicy } from '../transaction.js'
import type { CompareAndSetDriver, WriteResult } from './snapshot-driver.js'
import type { DriverMessage, NextSession, StoreDriver, StoredSession, TouchedSession, WriteAnswer } from './store-driver.js'

/** A driver as the committer uses it: cookies, histories and etags are the library's. */
export class ContractDriver implements CompareAndSetDriver {
  readonly compares = true
  readonly readNow?: (sid: string, known?: Snapshot) => Snapshot | undefined
  readonly writeNow?: NonNullable<CompareAndSetDriver['writeNow']>
  readonly topic?: (sid: string) => string
  readonly #driver: StoreDriver

  constructor(driver: StoreDriver) {
    this.#driver = driver
    const { readNow, writeNow, topic } = driver
    if (readNow) this.readNow = (sid, known) => toSnapshot(readNow.call(driver, sid), known)
    if (readNow && writeNow) {
      this.writeNow = (sid, snapshot, expected, ttl) => {
        const next = toNext(snapshot, ttl)
        const answer = writeNow.call(driver, sid, next, toStored(expected))
        return resultOf(answer, snapshot, next.text) ?? { written: false, current: toSnapshot(readNow.call(driver, sid)) }
      }
    }
    if (topic) this.topic = (sid) => topic.call(driver, sid)
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
    message?: DriverMessage,
  ): Promise<WriteResult> {
    const next = toNext(snapshot, ttl)
    const answer = await this.#driver.write(sid, next, toStored(expected), message)
    return resultOf(answer, snapshot, next.text) ?? { written: false, current: await this.read(sid) }
  }

  touch(sid: string, snapshot: Snapshot): Promise<boolean> {
    return this.#driver.touch(sid, endOf(snapshot), new Touched(snapshot))
  }

  destroy(sid: string, message?: DriverMessage): Promise<void> {
    return this.#driver.destroy(sid, message)
  }

  get readMany(): ((sids: readonly string[]) => Promise<(Snapshot | undefined)[]>) | undefined {
    const driver = this.#driver
    const { readMany } = driver
    return readMany && (async (sids) => (await readMany.call(driver, sids)).map((found) => toSnapshot(found)))
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
  return found && Snapshot.fromStored(found)
}

function toNext(snapshot: Snapshot, ttl: TtlPolicy): NextSession {
  return { text: snapshot.toText(), expires: endOf(snapshot), atLeast: ttl === 'extend' }
}

function toStored(expected: Snapshot | undefined): StoredSession | undefined {
  return expected && (expected.record ?? { text: expected.toText() })
}

/** @returns `undefined` where the driver does not say what the store holds instead */
function resultOf(answer: WriteAnswer, snapshot: Snapshot, text: string): WriteResult | undefined {
  if (answer.written) {
    const { stored = { text } } = answer
    return { written: true, current: stored.text === text ? snapshot.storedAs(stored) : Snapshot.fromStored(stored) }
  }
  if (!('stored' in answer)) return undefined
  return { written: false, current: toSnapshot(answer.stored), ...(answer.resent && { resent: true }) }
}

function endOf({ cookie }: Snapshot): Date | undefined {
  const end = expiryOf(cookie)
  return end === undefined ? undefined : new Date(end)
}
