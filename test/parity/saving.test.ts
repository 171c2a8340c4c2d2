import expressSession from 'express-session'
import { describe, expect, onTestFinished, vi } from 'vitest'
import { type Opened, promises, type Site } from './harness.js'
import { memory, withoutRecord } from './memory.js'

type Callback = (error?: any, session?: any) => void

const { Store } = expressSession as unknown as { Store: new () => expressSession.Store }

/** Calls back in the same turn, and fails on what it has not. It has no `touch`. */
class SynchronousStore extends Store {
  readonly texts = new Map<string, string>()

  override get(sid: string, callback: Callback): void {
    callback(null, JSON.parse(this.texts.get(sid) as string))
  }

  override set(sid: string, session: object, callback?: Callback): void {
    this.texts.set(sid, JSON.stringify(session))
    callback?.()
  }

  override destroy(sid: string, callback?: Callback): void {
    this.texts.delete(sid)
    callback?.()
  }
}

/** Does not answer when it is asked for what it has not. */
class SilentStore extends SynchronousStore {
  override get(sid: string, callback: Callback): void {
    if (this.texts.has(sid)) setImmediate(callback, null, JSON.parse(this.texts.get(sid) as string))
  }
}

function open<S extends SynchronousStore>(store: S): Opened<S> {
  const held = (sid: string): any => {
    const text = store.texts.get(sid)
    return text === undefined ? undefined : JSON.parse(text)
  }
  return {
    store,
    held: async (sid) => withoutRecord(held(sid)),
    async put(sid, session) {
      store.texts.set(sid, JSON.stringify(session))
    },
    left: async (sid) => Date.parse(held(sid)?.cookie.expires) - Date.now(),
  }
}

const STORES = {
  'a store that answers in the same turn': () => open(new SynchronousStore()),
  'a store that does not answer for a missing session': () => open(new SilentStore()),
}

for (const [name, opened] of Object.entries(STORES)) {
  describe(name, () => {
    promises('saves a new session, and loads it', opened, {}, async (site) => {
      const visitor = site.visitor()
      expect(await visitor.ask('/set?user=ada')).toMatchObject({ status: 200, body: { user: 'ada' }, cookie: {} })
      expect(await site.held(visitor.sid)).toMatchObject({ user: 'ada' })
      expect((await visitor.ask('/set?a=1')).body).toMatchObject({ user: 'ada', a: '1' })
      expect(site.errors).toEqual([])
    })

    promises('regenerates it, and destroys it', opened, {}, async (site) => {
      const visitor = site.visitor()
      await visitor.ask('/set?user=ada')
      const before = visitor.sid
      expect((await visitor.ask('/login?user=eve')).status).toBe(200)
      expect(visitor.sid).not.toBe(before)
      expect(await site.held(before)).toBeUndefined()
      expect((await visitor.ask('/logout')).body).toEqual({ session: 'none' })
      expect(await site.held(visitor.sid)).toBeUndefined()
      expect(site.errors).toEqual([])
    })

    const aging = { session: { cookie: { maxAge: 7_200_000 } }, routes }
    promises('originalMaxAge is the same for all requests', opened, aging, async (site) => {
      const visitor = site.visitor()
      vi.useFakeTimers({ toFake: ['Date'] })
      onTestFinished(() => void vi.useRealTimers())
      for (const path of ['/age?a=1', '/age?a=2', '/age']) {
        const { body } = await visitor.ask(path)
        expect(body.originalMaxAge).toBe(7_200_000)
        vi.setSystemTime(Date.now() + 60_000)
      }
    })
  })
}

describe('a stored session without a cookie', () => {
  const stores: Record<string, () => Opened<any>> = {
    MemoryStore: () => {
      const store: any = new expressSession.MemoryStore()
      return {
        store,
        held: async (sid) => withoutRecord(store.sessions[sid] && JSON.parse(store.sessions[sid])),
        async put(sid, session) {
          store.sessions[sid] = JSON.stringify(session)
        },
        left: async () => 0,
      }
    },
    'a store without a driver': () => {
      const opened = memory()
      const { sessions } = opened.store as any
      return {
        ...opened,
        async put(sid, session) {
          sessions[sid] = JSON.stringify(session)
        },
      }
    },
  }
  for (const [name, opened] of Object.entries(stores)) {
    const stored = async (site: Site<any>, by: 'set' | 'put'): Promise<void> => {
      const visitor = site.visitor()
      await visitor.ask('/set?user=ada')
      const { cookie } = visitor
      if (by === 'put') await site.put(visitor.sid, { foo: 'bar' })
      else await new Promise((done) => site.store.set(visitor.sid, { foo: 'bar' }, done))
      expect(await site.held(visitor.sid)).toEqual({ foo: 'bar' })
      const again = site.visitor()
      expect(await again.ask('/show', { cookie: String(cookie) })).toMatchObject({
        status: 500,
        body: { error: expect.stringMatching(/Cannot read prop/) },
      })
      await new Promise((done) => site.store.set(visitor.sid, { cookie: { path: '/' }, foo: 'bar' }, done))
      expect((await again.ask('/show', { cookie: String(cookie) })).body.foo).toBe('bar')
    }
    promises(`${name}: put there by another process`, opened, {}, (site) => stored(site, 'put'))
    promises(`${name}: given to set`, opened, {}, (site) => stored(site, 'set'))
  }
})

function routes(http: any): void {
  http.get('/age', (req: any, res: any) => {
    Object.assign(req.session, req.query)
    res.json({ originalMaxAge: req.session.cookie.originalMaxAge })
  })
}
