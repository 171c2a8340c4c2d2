import expressSession from 'express-session'
import { describe, expect, it } from 'vitest'
import sharedsession, { type SharedSessionOptions } from '../../src/index.js'

const sessionOn = (store: expressSession.Store) => expressSession({ secret: 's', resave: false, saveUninitialized: false, store })

/** Calls sharedsession() once for each of the options, on one store. */
function callsOnOneStore(...options: SharedSessionOptions[]): () => void {
  return () => {
    const store = new expressSession.MemoryStore()
    for (const each of options) sharedsession(sessionOn(store), each)
  }
}

const differs = expect.objectContaining({ code: 'BAD_OPTION', message: expect.stringMatching(/per store/) })

describe('options per store of several sharedsession() calls on one store', () => {
  it('two merge functions with the same source text and different captures are different options', () => {
    const limitedTo = (limit: number) => (_base: unknown, mine: unknown) => Math.min(Number(mine), limit)
    expect(callsOnOneStore({ merge: { n: limitedTo(1) } }, { merge: { n: limitedTo(2) } })).toThrow(differs)
  })

  it('the same merge function in two option objects is the same option', () => {
    const mine = (_base: unknown, value: unknown) => value
    expect(callsOnOneStore({ merge: { n: mine, m: 'sum' } }, { merge: { m: 'sum', n: mine } })).not.toThrow()
  })

  it.each<SharedSessionOptions>([
    { onChange: 'notify' },
    { merge: { n: 'sum', m: (_base, mine) => mine } },
    { merge: false },
    { revalidate: 500 },
    { retry: { attempts: 2, timeout: 100 } },
    { maxBytes: 500 },
    { driver: 'generic' },
    { bus: false },
  ])('a later call that leaves out %j takes it from the first call', (options) => {
    expect(callsOnOneStore(options, {}, { autoSave: true })).not.toThrow()
  })

  it('a later call that gives one retry option takes the others from the first call', () => {
    expect(callsOnOneStore({ retry: { attempts: 2, timeout: 100 } }, { retry: { timeout: 100 } })).not.toThrow()
    expect(callsOnOneStore({ retry: { attempts: 2, timeout: 100 } }, { retry: { timeout: 101 } })).toThrow(differs)
  })

  it('a later call that gives a default value where the first call gave another one throws', () => {
    expect(callsOnOneStore({ maxBytes: 500 }, { maxBytes: 1024 * 1024 })).toThrow(differs)
    expect(callsOnOneStore({ merge: { n: 'sum' } }, { merge: {} })).toThrow(differs)
  })
})
