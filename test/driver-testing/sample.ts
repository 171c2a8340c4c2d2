import type { StoreDriver } from '../../src/driver.js'

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
  const find = (sid: string): Row | undefined => {
    const row = rows.get(sid)
    return row && row.expires > Date.now() ? row : undefined
  }
  const end = (expires: Date | undefined): number => expires?.getTime() ?? Date.now() + 86_400_000
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  const driver: StoreDriver = {
    name: 'sample',
    async read(sid) {
      await turn()
      const row = find(sid)
      return row && { text: row.text }
    },
    async write(sid, next, expected) {
      await turn()
      const held = find(sid)
      if (held?.text !== expected?.text) return { written: false, stored: held && { text: held.text } }
      const expires = next.atLeast && held ? Math.max(held.expires, end(next.expires)) : end(next.expires)
      rows.set(sid, { text: next.text, expires })
      return { written: true }
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
