import expressSession, { type Store } from 'express-session'
import { describe, expect } from 'vitest'
import { promises, type Site } from './harness.js'
import { memory } from './memory.js'

/** A store's method, as an application calls it. */
function call(site: Site<any>, method: string, ...args: unknown[]): Promise<any> {
  return new Promise((resolve, reject) => {
    site.store[method](...args, (error: unknown, value: unknown) => (error ? reject(error) : resolve(value)))
  })
}

const cookie = { path: '/', httpOnly: true, originalMaxAge: null, expires: null }
const session = (data: object): object => ({ cookie, ...data })

describe('the store’s methods, called by the application', () => {
  promises('get, set and destroy', memory, {}, async (site) => {
    expect(await call(site, 'get', 'sid')).toBeUndefined()
    expect(await call(site, 'set', 'sid', session({ n: 1 }))).toBeUndefined()
    expect(await call(site, 'get', 'sid')).toEqual(session({ n: 1 }))
    await call(site, 'set', 'sid', session({ m: 2 }))
    expect(await call(site, 'get', 'sid')).toEqual(session({ m: 2 }))
    expect(await call(site, 'destroy', 'sid')).toBeUndefined()
    expect(await call(site, 'get', 'sid')).toBeUndefined()
    await call(site, 'destroy', 'never there')
  })

  promises('touch takes the cookie and leaves the data', memory, {}, async (site) => {
    await call(site, 'set', 'sid', session({ n: 1 }))
    const expires = new Date(Date.now() + 60_000).toISOString()
    await call(site, 'touch', 'sid', { cookie: { ...cookie, originalMaxAge: 60_000, expires }, n: 2 })
    expect(await call(site, 'get', 'sid')).toEqual({ cookie: { ...cookie, originalMaxAge: 60_000, expires }, n: 1 })
    await call(site, 'touch', 'not there', session({}))
    expect(await call(site, 'get', 'not there')).toBeUndefined()
  })

  promises('all, length and clear', memory, {}, async (site) => {
    const visitor = site.visitor()
    await visitor.ask('/set?user=ada')
    await call(site, 'set', 'sid', session({ n: 1 }))
    expect(await call(site, 'length')).toBe(2)
    const all = await call(site, 'all')
    expect(Object.keys(all).toSorted()).toEqual([visitor.sid, 'sid'].toSorted())
    expect(all.sid).toEqual(session({ n: 1 }))
    expect(all[visitor.sid]).toEqual(await site.held(visitor.sid))
    // What it gave can be given back, and counted again.
    await call(site, 'set', 'sid', { ...all.sid, n: all.sid.n + 1 })
    expect((await call(site, 'all')).sid).toEqual(session({ n: 2 }))
    await call(site, 'clear')
    expect(await call(site, 'length')).toBe(0)
    expect((await visitor.ask('/show')).body).not.toHaveProperty('user')
  })

  promises('load gives a Session', memory, {}, async (site) => {
    const visitor = site.visitor()
    await visitor.ask('/set?user=ada')
    const loaded = await call(site, 'load', visitor.sid)
    expect(loaded).toBeInstanceOf((expressSession as any).Session)
    expect(loaded).toMatchObject({ user: 'ada', id: visitor.sid })
    loaded.user = 'eve'
    await new Promise((done) => loaded.save(done))
    expect((await visitor.ask('/show')).body.user).toBe('eve')
    await new Promise((done) => loaded.destroy(done))
    expect(await call(site, 'load', visitor.sid)).toBeUndefined()
  })

  promises('it stays an EventEmitter, of its own class', memory, {}, async (site) => {
    const { store }: { store: Store } = site
    expect(store).toBeInstanceOf(expressSession.MemoryStore)
    const heard: unknown[] = []
    store.on('mine', (value) => heard.push(value))
    store.emit('mine', 1)
    expect(heard).toEqual([1])
  })
})
