import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { DocumentState } from '../../src/document/document-state.js'
import { TrackedDocument } from '../../src/document/tracked-document.js'
import { closeApps } from '../support/app.js'
import { live, turns } from '../support/live.js'
import { next } from '../support/wait.js'

afterEach(closeApps)

/** A needle that only the session's data contains. */
const NEEDLE = 'needle-in-the-session'

/** Counts the work on the whole session: copies and JSON of the tracked document, and JSON that contains its data. */
function watchWork(): { count(): Record<string, number> } {
  const spies = {
    json: vi.spyOn(TrackedDocument.prototype, 'json'),
    snapshot: vi.spyOn(TrackedDocument.prototype, 'snapshot'),
    base: vi.spyOn(TrackedDocument.prototype, 'base'),
    hasChanges: vi.spyOn(TrackedDocument.prototype, 'hasChanges'),
    takeChanges: vi.spyOn(TrackedDocument.prototype, 'takeChanges'),
    rebase: vi.spyOn(TrackedDocument.prototype, 'rebase'),
    baseImage: vi.spyOn(DocumentState.prototype, 'baseToJson'),
  }
  let serialised = 0
  const { stringify } = JSON
  vi.spyOn(JSON, 'stringify').mockImplementation(((...args: Parameters<typeof stringify>) => {
    const json = stringify(...args)
    if (typeof json === 'string' && json.includes(NEEDLE)) serialised++
    return json
  }) as typeof JSON.stringify)
  return {
    count: () => ({
      ...Object.fromEntries(Object.entries(spies).map(([name, spy]) => [name, spy.mock.calls.length])),
      serialised,
    }),
  }
}

const NOTHING = { json: 0, snapshot: 0, base: 0, hasChanges: 0, takeChanges: 0, rebase: 0, baseImage: 0, serialised: 0 }

// The built package has its own copy of what is counted here.
describe.skipIf(process.env.TEST_BUILT)('an event that modifies nothing', () => {
  beforeEach(() => {
    vi.restoreAllMocks()
  })

  for (const size of [10, 10_000]) {
    it(`makes no store call and no serialisation of the session, with an ack, ${size} elements`, async () => {
      const ctx = await live({
        connection(socket) {
          const session = socket.handshake.session as Record<string, any>
          socket.on('count', (ack) => ack(session.list.length))
          socket.on('last', async (ack) => {
            await null
            ack(session.list.at(-1).n)
          })
          socket.on('quiet', () => socket.emit('quiet', session.list[0].n))
        },
      })
      ctx.session.list = Array.from({ length: size }, (_, n) => ({ n, text: NEEDLE }))
      await ctx.app.shared.flush()
      await turns()
      const work = watchWork()
      const calls = ctx.store.calls.length
      const reads = ctx.app.shared.stats()
      for (let i = 0; i < 5; i++) {
        expect(await ctx.client.emitWithAck('count')).toBe(size)
        expect(await ctx.client.emitWithAck('last')).toBe(size - 1)
        const answered = next(ctx.client, 'quiet')
        ctx.client.emit('quiet')
        await answered
      }
      await turns()
      expect(ctx.store.calls.length).toBe(calls)
      expect(ctx.app.shared.stats()).toEqual(reads)
      expect(work.count()).toEqual(NOTHING)
      // The watch does see work: a write is one read and one write of the store, and one copy.
      ctx.session.list[0].n = -1
      await ctx.app.shared.flush()
      expect(ctx.store.calls.slice(calls).map(({ method }) => method)).toEqual(['get', 'set'])
      expect(work.count()).toMatchObject({ json: 1, takeChanges: 1 })
      expect(work.count().serialised).toBeGreaterThan(0)
      vi.restoreAllMocks()
    })
  }
})

describe('a save', () => {
  it('makes one read and one write of the store, however many sockets and writes', async () => {
    const { app, store, session } = await live()
    const calls = store.calls.length
    for (let n = 0; n < 100; n++) session[`key${n}`] = n
    await app.shared.flush()
    expect(store.calls.slice(calls).map(({ method }) => method)).toEqual(['get', 'set'])
  })
})
