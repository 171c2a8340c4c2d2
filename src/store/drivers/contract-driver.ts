import type { Bus } from '../../bus.js'
import { expiryOf } from '../cookie-json.js'
import { Snapshot } from '../snapshot.js'
import type { OutgoingMessage, TtlPolicy } from '../transaction.js'
import type { CompareAndSetDriver, PostgresServer, WriteResult } from './driver.js'
import type { StoreDriver, StoredSession } from './store-driver.js'

/** A driver of the public contract as the committer uses it: cookies, histories and etags are the library's. */
export class ContractDriver implements CompareAndSetDriver {
  readonly compares = true
  readonly #driver: StoreDriver

  readonly postgres: PostgresServer | undefined

  /** @param postgres of a driver of this package */
  constructor(driver: StoreDriver, postgres?: PostgresServer) {
    this.#driver = driver
    this.postgres = postgres
  }

  get name(): string {
    return this.#driver.name
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

  async read(sid: string): Promise<Snapshot | undefined> {
    return toSnapshot(await this.#driver.read(sid))
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
    const answer = await this.#driver.write(sid, next, expected && stored(expected), message)
    if (answer.written) return { written: true, current: snapshot.storedAs(text, answer.token ?? text) }
    return { written: false, current: 'stored' in answer ? toSnapshot(answer.stored) : await this.read(sid) }
  }

  touch(sid: string, snapshot: Snapshot): Promise<boolean> {
    return this.#driver.touch(sid, endOf(snapshot))
  }

  destroy(sid: string, message?: OutgoingMessage): Promise<void> {
    return this.#driver.destroy(sid, message)
  }

  get readMany(): ((sids: readonly string[]) => Promise<(Snapshot | undefined)[]>) | undefined {
    const driver = this.#driver
    if (!driver.readMany) return undefined
    return async (sids) => ((await driver.readMany?.(sids)) ?? []).map(toSnapshot)
  }

  bus(): Bus | undefined {
    return this.#driver.bus?.()
  }
}

function toSnapshot(found: StoredSession | undefined): Snapshot | undefined {
  return found && Snapshot.from(found.text, found.token ?? found.text)
}

/** What the driver has given out for this snapshot: its text, and its token if it had one. */
function stored(snapshot: Snapshot): StoredSession {
  const text = snapshot.text ?? snapshot.toText()
  return { text, token: snapshot.etag === text ? undefined : snapshot.etag }
}

function endOf({ cookie }: Snapshot): Date | undefined {
  const end = expiryOf(cookie)
  return end === undefined ? undefined : new Date(end)
}
