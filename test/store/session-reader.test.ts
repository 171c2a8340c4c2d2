import { describe, expect, it } from 'vitest'
import type { StoreAnswer } from '../../src/store/commit-strategy.js'
import { MergeBases } from '../../src/store/merge-bases.js'
import type { Moment } from '../../src/store/session-clock.js'
import { type ReadHandlers, SessionReader } from '../../src/store/session-reader.js'
import { Snapshot } from '../../src/store/snapshot.js'

const STORED = Snapshot.fromStored({ text: '{"cookie":{"path":"/"},"user":"ada"}' })

/** A reader of a store in this process, and what was asked of the store. */
function readerOf(handlers: Partial<ReadHandlers> = {}) {
  const calls: string[] = []
  const loaded: StoreAnswer = { session: undefined, base: STORED }
  const reader = new SessionReader(
    {
      now: () => 7 as Moment,
      beforeRead: () => undefined,
      async load() {
        calls.push('load')
        return loaded
      },
      loadNow() {
        calls.push('loadNow')
        return loaded
      },
      found: (_sid, readMoment) => void calls.push(`found ${readMoment}`),
      storedSince: () => false,
      missing: () => void calls.push('missing'),
      unstored: () => undefined,
      ...handlers,
    },
    new MergeBases(),
    1000,
  )
  reader.readsNow = true
  return { reader, calls }
}

describe('a handshake on a store in this process', () => {
  it('has the session in the same turn', () => {
    const { reader, calls } = readerOf()
    expect(reader.readForHandshake('a')).toMatchObject({ snapshot: STORED, readMoment: 7, stored: true })
    expect(calls).toEqual(['loadNow', 'found 7'])
  })

  it('waits for a save that is due, and reads afterwards', async () => {
    let saved!: () => void
    const save = new Promise<void>((resolve) => {
      saved = resolve
    })
    const { reader, calls } = readerOf({ beforeRead: () => save })
    const found = reader.readForHandshake('a')
    await Promise.resolve()
    expect(calls).toEqual([])
    saved()
    expect(await found).toMatchObject({ snapshot: STORED, stored: true })
    expect(calls).toEqual(['load', 'found 7'])
  })

  it('gets a session that is missing from the store, and live here', async () => {
    const unstored = { session: { cookie: { originalMaxAge: null }, user: 'grace' }, live: { stored: false } }
    const { reader, calls } = readerOf({
      loadNow: () => ({ session: undefined }),
      load: async () => ({ session: undefined }),
      unstored: () => unstored as never,
    })
    const found = await reader.readForHandshake('a')
    expect(found).toMatchObject({ stored: false })
    expect(found.snapshot?.data).toEqual({ user: 'grace' })
    expect(calls).toEqual(['missing'])
  })

  it('rejects with the error of the store, and does not throw', async () => {
    const fails = () => {
      throw new Error('broken')
    }
    const { reader } = readerOf({ loadNow: fails, load: async () => fails() })
    const found = reader.readForHandshake('a')
    await expect(found).rejects.toThrow('broken')
  })
})
