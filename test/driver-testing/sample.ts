import type { StoreDriver } from '../../src/driver.js'
import { cases } from '../../src/driver-testing/index.js'

interface Row {
  text: string
  expires: number
}

/** A table, by ids. */
export type Rows = Map<string, Row>

/** A server with one table, and a driver for it. @param broken replaces methods of the driver */
export function sample(
  broken: (rows: Rows, driver: StoreDriver) => Partial<StoreDriver> = () => ({}),
  rows: Rows = new Map(),
): StoreDriver {
  const find = (sid: string): Row | undefined => rowIn(rows, sid)
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  const { readNow, writeNow } = sampleNow(rows)
  const driver: StoreDriver = {
    name: 'sample',
    async read(sid) {
      await turn()
      return readNow(sid)
    },
    async write(sid, next, expected) {
      await turn()
      return writeNow(sid, next, expected)
    },
    async touch(sid, expires) {
      await turn()
      const held = find(sid)
      if (held) held.expires = end(expires)
      return held !== undefined
    },
    async destroy(sid) {
      await turn()
      rows.delete(sid)
    },
    async readMany(sids) {
      await turn()
      return sids.map(find).map((row) => row && { text: row.text })
    },
  }
  return { ...driver, ...broken(rows, driver) }
}

/** The members for the same table that need no promise. */
export function sampleNow(rows: Rows): Required<Pick<StoreDriver, 'readNow' | 'writeNow'>> {
  return {
    readNow(sid) {
      const row = rowIn(rows, sid)
      return row && { text: row.text }
    },
    writeNow(sid, next, expected) {
      const held = rowIn(rows, sid)
      if (held?.text !== expected?.text) return { written: false, stored: held && { text: held.text } }
      const expires = next.atLeast && held ? Math.max(held.expires, end(next.expires)) : end(next.expires)
      rows.set(sid, { text: next.text, expires })
      return { written: true }
    },
  }
}

/** Unless its end has passed. */
export function rowIn(rows: Rows, sid: string): Row | undefined {
  const row = rows.get(sid)
  return row && row.expires > Date.now() ? row : undefined
}

function end(expires: Date | undefined): number {
  return expires?.getTime() ?? Date.now() + 86_400_000
}

/** The names of the cases that the driver does not pass. */
export async function failures(driver: StoreDriver, second?: StoreDriver): Promise<string[]> {
  const failed: string[] = []
  for (const { name, run } of cases({ driver, ...(second && { second }) })) await run().catch(() => failed.push(name))
  return failed
}
