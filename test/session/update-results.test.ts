import { MemoryStore } from 'express-session'
import fc from 'fast-check'
import { Immer } from 'immer'
import { afterEach, describe, expect, it } from 'vitest'
import { closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { failure, live, tab } from '../support/live.js'
import { sidOf } from '../support/sid.js'
import { next } from '../support/wait.js'

afterEach(closeApps)

type Texts = { sessions: Record<string, string> }

const increment = (draft: any): void => {
  draft.n = Number(draft.n) + 1
}

const sessionsOf = (store: object): Record<string, string> => (store as Texts).sessions

async function scene(store: MemoryStore) {
  const app = await startApp({ store })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const sid = sidOf(browser)
  const cookie = (): any => JSON.parse(sessionsOf(store)[sid] as string).cookie
  return {
    ...{ app, browser, sid },
    stored(): any {
      const { cookie: _, ...data } = JSON.parse(sessionsOf(store)[sid] as string)
      return data
    },
    /** As another process does it. @param data the JSON of an object */
    foreign(data: string) {
      sessionsOf(store)[sid] = `{"cookie":${JSON.stringify(cookie())}${data === '{}' ? '' : ','}${data.slice(1)}`
    },
  }
}

/** A change that a recipe makes. */
type Step = (draft: any) => void

const KEYS = ['a', 'b', '7', 'long key "quoted"']
const key = fc.constantFrom(...KEYS)
/** A name that is reserved at the root, and only there. */
const innerKey = fc.constantFrom(...KEYS, 'constructor')
const { tree } = fc.letrec((again) => ({
  tree: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom<unknown>(0, 'text', null, true, -0, Number.NaN, new Date(0), undefined),
    fc.array(again('tree'), { maxLength: 3 }),
    fc.dictionary(innerKey, again('tree'), { maxKeys: 3, noNullPrototype: true }),
  ),
}))

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(key, tree).map(
    ([name, value]): Step =>
      (draft) => {
        draft[name] = structuredClone(value)
      },
  ),
  key.map(
    (name): Step =>
      (draft) => {
        delete draft[name]
      },
  ),
  // One object in two places is two in JSON.
  fc.tuple(key, key).map(
    ([from, to]): Step =>
      (draft) => {
        if (Object.hasOwn(draft, from)) draft[to] = draft[from]
      },
  ),
  fc.tuple(key, tree).map(
    ([name, value]): Step =>
      (draft) => {
        const inner = Object.hasOwn(draft, name) ? draft[name] : undefined
        if (Array.isArray(inner)) inner.unshift(structuredClone(value), ...inner.splice(1, 1))
        else if (typeof inner === 'object' && inner !== null && !(inner instanceof Date)) inner.a = structuredClone(value)
      },
  ),
)
const updates = fc.array(fc.record({ steps: fc.array(step, { maxLength: 3 }), isReplaced: fc.boolean() }), { maxLength: 6 })

const immer = new Immer({ autoFreeze: false })

describe('what update() resolves to is what is stored', () => {
  it.each([
    ['a store that compares', () => new MemoryStore()],
    ['another one', () => new ControlledStore()],
  ])('after any changes, on %s', async (_, open) => {
    const { app, sid, stored, foreign } = await scene(open())
    await fc.assert(
      fc.asyncProperty(updates, async (all) => {
        await app.shared.update(sid, () => ({}))
        for (const { steps, isReplaced } of all) {
          // What is stored was not made by this process.
          if (isReplaced) foreign(JSON.stringify(stored()))
          const recipe = (draft: any): void => {
            for (const change of steps) change(draft)
          }
          const expected = JSON.parse(JSON.stringify(immer.produce(stored(), recipe)))
          const result: any = await app.shared.update(sid, recipe)
          expect(result).toEqual(expected)
          expect(stored()).toEqual(expected)
          for (const value of Object.values<any>(result)) if (typeof value === 'object' && value !== null) value.mine = true
          expect(stored()).toEqual(expected)
        }
      }),
      { numRuns: 200 },
    )
  })

  it('leaves out __proto__ that another process has stored, also where the recipe did not look', async () => {
    const { app, sid, stored, foreign } = await scene(new MemoryStore())
    foreign('{"n":1,"deep":{"list":[{"__proto__":{"admin":true},"ok":1}]},"__proto__":{"admin":true}}')
    const result: any = await app.shared.update(sid, increment)
    expect(JSON.stringify(result)).toBe('{"n":2,"deep":{"list":[{"ok":1}]}}')
    expect(JSON.stringify(stored())).toBe(JSON.stringify(result))
  })

  it('rejects a returned object that JSON makes no object of', async () => {
    const { app, sid, stored } = await scene(new MemoryStore())
    for (const returned of [new Date(), { toJSON: () => [1] }, { toJSON: () => undefined }]) {
      expect((await failure(app.shared.update(sid, () => returned))).code).toBe('BAD_ARGUMENT')
    }
    expect(stored()).toEqual({ user: 'ada' })
  })

  it('is what the recipe makes of what others write while it runs', async () => {
    const { app, sid, stored, foreign } = await scene(new MemoryStore())
    const seen: unknown[] = []
    const result = await app.shared.update(sid, (draft: any) => {
      seen.push(draft.theirs?.n)
      if (!draft.theirs) foreign('{"theirs":{"n":1}}')
      draft.mine = draft.theirs ?? 'too early'
    })
    expect(seen).toEqual([undefined, 1])
    expect(result).toEqual({ theirs: { n: 1 }, mine: { n: 1 } })
    expect(stored()).toEqual(result)
    expect(app.shared.stats().refusals).toBe(1)
  })
})

describe('update() takes its turn', () => {
  it('after the save of a request that is under way', async () => {
    const { app, store, browser, sid } = await live()
    const set = store.hold('set')
    const saved = browser.get('/set?n=5')
    await set.called
    const updated = app.shared.update(sid, increment)
    set.release()
    expect(await updated).toMatchObject({ n: 6 })
    await saved
    expect(store.stored(sid)).toMatchObject({ n: 6 })
  })

  it('after a destroy that is under way, and brings nothing back', async () => {
    const { app, store, sid } = await live()
    const destroy = store.hold('destroy')
    const destroyed = app.shared.destroy(sid)
    await destroy.called
    const updated = failure(app.shared.update(sid, increment))
    destroy.release()
    expect((await updated).code).toBe('SESSION_NOT_FOUND')
    await destroyed
    expect(store.stored(sid)).toBeUndefined()
  })

  it('and ends a session that was stored while it waited, and that is gone then', async () => {
    const store = new ControlledStore()
    const app = await startApp({ store })
    const { socket } = await tab(app, app.browser())
    const { sessionID: sid } = socket.handshake
    const set = store.hold('set')
    store.set(sid, { cookie: { path: '/', originalMaxAge: null }, n: 1 })
    await set.called
    const get = store.hold('get')
    const updated = failure(app.shared.update(sid, increment))
    const ended = next(socket, 'session:destroyed')
    set.release()
    await get.called
    store.gone(sid)
    get.release()
    expect((await updated).code).toBe('SESSION_NOT_FOUND')
    await ended
  })
})
