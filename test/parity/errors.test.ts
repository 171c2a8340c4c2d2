import type { Express } from 'express'
import { describe, expect } from 'vitest'
import { FileLikeStore } from '../support/stores.js'
import { until } from '../support/wait.js'
import { type Opened, promises, type Site, type Visitor } from './harness.js'
import { memory } from './memory.js'

const failure = new Error('the store failed')

async function known(site: Site, path = '/set?user=ada'): Promise<Visitor> {
  const visitor = site.visitor()
  await visitor.ask(path)
  return visitor
}

/** The very error that the store gave reached the application, once, and whether the response was on its way by then. */
async function reached(site: Site, answered: boolean): Promise<void> {
  await until(() => site.errors.length > 0)
  expect(site.errors).toEqual([{ error: failure, answered }])
  expect(site.errors[0]?.error).toBe(failure)
}

describe('a store’s error reaches next', () => {
  promises('of get: the request has no session, and the next one has', memory, {}, async (site) => {
    const visitor = await known(site)
    site.store.fail('get', failure)
    expect(await visitor.ask('/show')).toMatchObject({ status: 500, body: { error: failure.message } })
    await reached(site, false)
    expect((await visitor.ask('/show')).body.user).toBe('ada')
  })

  promises('thrown by get', memory, {}, async (site) => {
    const visitor = await known(site)
    site.store.throw('get', failure)
    expect((await visitor.ask('/show')).status).toBe(500)
    await reached(site, false)
  })

  promises('of set, after the response, which is whole', memory, {}, async (site) => {
    const visitor = await known(site)
    site.store.fail('set', failure)
    const { status, body } = await visitor.ask('/set?user=eve')
    expect({ status, user: body.user }).toEqual({ status: 200, user: 'eve' })
    await reached(site, true)
    expect(await site.held(visitor.sid)).toMatchObject({ user: 'ada' })
    expect((await visitor.ask('/show')).body.user).toBe('ada')
  })

  promises('of set, for a new session', memory, {}, async (site) => {
    site.store.fail('set', failure)
    const visitor = site.visitor()
    expect(await visitor.ask('/set?user=ada')).toMatchObject({ status: 200, cookie: {} })
    await reached(site, true)
    expect((await visitor.ask('/show')).body).not.toHaveProperty('user')
  })

  promises('of touch, after the response', memory, {}, async (site) => {
    const visitor = await known(site)
    site.store.fail('touch', failure)
    expect((await visitor.ask('/show')).status).toBe(200)
    await reached(site, true)
    expect((await visitor.ask('/show')).body.user).toBe('ada')
  })

  const unsetting = { session: { unset: 'destroy' as const }, routes: unset }
  promises('of destroy, by unset, after the response', memory, unsetting, async (site) => {
    const visitor = await known(site)
    site.store.fail('destroy', failure)
    expect((await visitor.ask('/unset')).status).toBe(200)
    await reached(site, true)
    expect(await site.held(visitor.sid)).toMatchObject({ user: 'ada' })
  })
})

describe('a store’s error is handed to the callback', () => {
  for (const [method, path] of [
    ['destroy', '/logout'],
    ['set', '/save'],
    ['get', '/reload'],
  ] as const) {
    promises(`of ${path.slice(1)}, and to nobody else`, memory, { routes: calls }, async (site) => {
      const visitor = await known(site)
      const { sid } = visitor
      // The first one is the middleware's own.
      if (method === 'get') site.store.pass('get')
      site.store.fail(method, failure)
      expect(await visitor.ask(path)).toMatchObject({ status: 500, body: { error: failure.message } })
      await reached(site, false)
      expect(await site.held(sid)).toMatchObject({ user: 'ada' })
    })
  }

  promises('of regenerate, which goes on with a new session', memory, {}, async (site) => {
    const visitor = await known(site)
    const { sid } = visitor
    site.store.fail('destroy', failure)
    expect((await visitor.ask('/login?user=eve')).status).toBe(500)
    await reached(site, false)
    expect(visitor.sid).not.toBe(sid)
    expect(await site.held(sid)).toMatchObject({ user: 'ada' })
  })

  promises('reload of a session that is gone: "failed to load session"', memory, { routes: calls }, async (site) => {
    const visitor = await known(site)
    site.store.pass('get')
    const { sid } = visitor
    gone = () => site.store.gone(sid)
    expect(await visitor.ask('/reload')).toMatchObject({ status: 500, body: { error: 'failed to load session' } })
    gone = undefined
  })
})

describe('a store without the session', () => {
  promises('null is a new visitor', memory, {}, async (site) => {
    const visitor = await known(site)
    const { sid } = visitor
    site.store.gone(sid)
    const { status, body } = await visitor.ask('/set?user=eve')
    expect(status).toBe(200)
    expect(body.id).not.toBe(sid)
  })

  function files(): Opened<FileLikeStore> {
    const store = new FileLikeStore()
    const { sessions } = store
    const held = async (sid: string): Promise<any> => {
      const { cookie: { sharedsession: _, ...cookie } = {}, ...data } = JSON.parse(sessions.get(sid) ?? '{}') as any
      return sessions.has(sid) ? { ...data, cookie } : undefined
    }
    return {
      store,
      held,
      put: async (sid, session) => sessions.set(sid, JSON.stringify(session)),
      left: async (sid) => new Date((await held(sid)).cookie.expires).getTime() - Date.now(),
    }
  }

  promises('the error ENOENT is the same, and reaches nobody', files, {}, async (site) => {
    const visitor = await known(site)
    const { sid } = visitor
    site.store.sessions.delete(sid)
    const { status, body } = await visitor.ask('/set?user=eve')
    expect(status).toBe(200)
    expect(body.id).not.toBe(sid)
    expect((await visitor.ask('/show')).body.user).toBe('eve')
    expect(site.errors).toEqual([])
  })

  const resaving = { session: { resave: true, cookie: { maxAge: 3_600_000 } } }
  promises('one without touch keeps a session alive by resave', files, resaving, async (site) => {
    const visitor = await known(site)
    const { cookie, ...data } = await site.held(visitor.sid)
    await site.put(visitor.sid, { ...data, cookie: { ...cookie, expires: new Date(Date.now() + 1_200_000).toISOString() } })
    await visitor.ask('/show')
    expect(Math.round((await site.left(visitor.sid)) / 60_000)).toBe(60)
  })
})

describe('a store that says that it is disconnected', () => {
  promises('gives requests no session, until it says that it is connected', memory, {}, async (site) => {
    const visitor = await known(site)
    site.store.emit('disconnect')
    expect((await visitor.ask('/show')).body).toEqual({ session: null })
    site.store.emit('connect')
    expect((await visitor.ask('/show')).body.user).toBe('ada')
  })
})

describe('the end of a response', () => {
  const streams = (http: Express): void => {
    http.get('/stream', (req, res) => {
      req.session.streamed = true
      res.write('first;')
      res.end('last')
    })
  }
  promises('waits for the store, also where its head has left', memory, { routes: streams }, async (site) => {
    const visitor = await known(site)
    const set = site.store.hold('set')
    const response = await fetch(`${site.url}/stream`, { headers: { cookie: String(visitor.cookie) } })
    let over = false
    const text = response.text().finally(() => {
      over = true
    })
    await set.called
    expect(over).toBe(false)
    set.release()
    expect(await text).toBe('first;last')
    expect(await site.held(visitor.sid)).toMatchObject({ streamed: true })
  })
})

let gone: (() => void) | undefined

function unset(http: Express): void {
  http.get('/unset', (req, res) => {
    req.session = null as never
    res.json('done')
  })
}

function calls(http: Express): void {
  http.get('/save', (req, res, next) => {
    req.session.user = 'eve'
    req.session.save((error) => (error ? next(error) : res.json('saved')))
  })
  http.get('/reload', (req, res, next) => {
    gone?.()
    req.session.reload((error) => (error ? next(error) : res.json('reloaded')))
  })
}
