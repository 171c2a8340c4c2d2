import { describe, expect, it } from 'vitest'
import type { StoreDriver } from '../../src/driver.js'
import { failures, type Rows, rowIn, sample, sampleNow } from './sample.js'

describe('where they are given a second driver, the cases find', () => {
  it('a lock of the process', async () => {
    const rows: Rows = new Map()
    const driver = locking(rows)
    expect(await failures(driver)).toEqual([])
    expect(await failures(driver, locking(rows))).toEqual([
      'loses nothing where two processes write at once',
      'lets one of two processes that create a session at once win',
      'lets one of two processes that replace a session whose end has passed win',
    ])
  })

  it('a lock of the process for those that create sessions', async () => {
    const rows: Rows = new Map()
    const whole = sample(undefined, rows)
    const creating = (): StoreDriver => {
      const { write } = locking(rows)
      return { ...whole, write: (sid, next, expected) => (expected ? whole.write : write)(sid, next, expected) }
    }
    expect(await failures(creating())).toEqual([])
    expect(await failures(creating(), creating())).toEqual([
      'lets one of two processes that create a session at once win',
      'lets one of two processes that replace a session whose end has passed win',
    ])
  })

  it('a cache of the process', async () => {
    const rows: Rows = new Map()
    expect(await failures(caching(rows))).toEqual([])
    expect(await failures(caching(rows), caching(rows))).toContain('reads what another process has written and destroyed')
  })
})

/** Reads what it has read or written before, until that is refused. */
function caching(rows: Rows): StoreDriver {
  const cache: Rows = new Map()
  const keep = (sid: string): void => {
    const row = rows.get(sid)
    row ? cache.set(sid, { ...row }) : cache.delete(sid)
  }
  return sample(
    (_rows, whole) => ({
      async read(sid) {
        if (!rowIn(cache, sid)) keep(sid)
        return sampleNow(cache).readNow(sid)
      },
      readMany: undefined,
      async write(...args) {
        const answer = await whole.write(...args)
        keep(args[0])
        return answer
      },
      async touch(...args) {
        const answer = await whole.touch(...args)
        keep(args[0])
        return answer
      },
      async destroy(sid) {
        await whole.destroy(sid)
        keep(sid)
      },
    }),
    rows,
  )
}

/** Compares before the write, while no other writer of its own process does. */
function locking(rows: Rows): StoreDriver {
  let last: Promise<unknown> = Promise.resolve()
  const alone = <T>(work: () => Promise<T>): Promise<T> => {
    const done = last.then(work)
    last = done
    return done
  }
  return sample(
    (_rows, { read }) => ({
      write: (sid, { text, expires, atLeast }, expected) =>
        alone(async () => {
          const held = await read(sid)
          if (held?.text !== expected?.text) return { written: false, stored: held }
          await new Promise((resolve) => setImmediate(resolve))
          const end = expires?.getTime() ?? Date.now() + 60_000
          rows.set(sid, { text, expires: held && atLeast ? Math.max(end, rows.get(sid)?.expires ?? 0) : end })
          return { written: true }
        }),
    }),
    rows,
  )
}
