import { describe, expect } from 'vitest'
import { type Opened, promises, type Site, show, type Visitor } from './harness.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** A visitor whose session is stored. */
async function known(site: Site<any>, query = 'user=ada'): Promise<Visitor> {
  const visitor = site.visitor()
  await visitor.ask(`/set?${query}`)
  expect(await site.held(visitor.sid)).toMatchObject({ user: 'ada' })
  return visitor
}

/** Takes from the stored session all but some minutes of its life. */
async function age(site: Site<any>, sid: string, minutes: number): Promise<void> {
  const { cookie, ...data } = await site.held(sid)
  await site.put(sid, { ...data, cookie: { ...cookie, expires: new Date(Date.now() + minutes * MINUTE).toISOString() } })
}

/** What express-session's README promises of sessions, on one kind of store. */
export function describeSessions(open: () => Promise<Opened<any>> | Opened<any>): void {
  const aging = { cookie: { maxAge: HOUR } }
  const left = async (site: Site<any>, sid: string): Promise<number> => Math.round((await site.left(sid)) / MINUTE)

  describe('saveUninitialized', () => {
    promises('false: a new session that nobody modified is not stored, and sets no cookie', open, {}, async (site) => {
      const visitor = site.visitor()
      const { body, cookie } = await visitor.ask('/show')
      expect(body).toMatchObject({ id: expect.any(String), cookie: { path: '/' } })
      expect(cookie).toBeUndefined()
      expect(await site.held(body.id)).toBeUndefined()
      expect((await visitor.ask('/set?user=ada')).cookie).toBeDefined()
      expect((await visitor.ask('/show')).body.user).toBe('ada')
    })

    promises('true: it is stored, and sets a cookie', open, { session: { saveUninitialized: true } }, async (site) => {
      const visitor = site.visitor()
      expect((await visitor.ask('/show')).cookie).toBeDefined()
      expect(await site.held(visitor.sid)).toEqual({ cookie: expect.objectContaining({ path: '/' }) })
    })
  })

  describe('resave', () => {
    for (const resave of [true, false]) {
      const session = { resave, ...aging }
      promises(`${resave}: an unmodified session starts its life anew, with all it has`, open, { session }, async (site) => {
        const visitor = await known(site)
        await age(site, visitor.sid, 20)
        expect(await left(site, visitor.sid)).toBe(20)
        const { cookie } = await visitor.ask('/show')
        expect(cookie).toBeUndefined()
        expect(await left(site, visitor.sid)).toBe(60)
        expect(await site.held(visitor.sid)).toMatchObject({ user: 'ada' })
      })
    }
  })

  describe('rolling', () => {
    const session = { rolling: true, ...aging }
    promises('sets the cookie on every response, with its full life', open, { session }, async (site) => {
      const visitor = await known(site)
      await age(site, visitor.sid, 20)
      const { cookie } = await visitor.ask('/show')
      expect(cookie?.attributes).toContain('Expires in 60 min')
      expect(await left(site, visitor.sid)).toBe(60)
    })

    promises('not for an uninitialized session that is not saved', open, { session }, async (site) => {
      expect((await site.visitor().ask('/show')).cookie).toBeUndefined()
    })

    promises('without it, an unmodified session sets none, and a modified one does', open, { session: aging }, async (site) => {
      const visitor = await known(site)
      expect((await visitor.ask('/show')).cookie).toBeUndefined()
      expect((await visitor.ask('/set?a=1')).cookie?.attributes).toContain('Expires in 60 min')
    })
  })

  describe('unset', () => {
    const routes = (http: any): void => {
      for (const [path, unset] of [
        ['/null', (req: any) => (req.session = null)],
        ['/delete', (req: any) => delete req.session],
      ] as const) {
        http.get(path, (req: any, res: any) => {
          req.session.lost = true
          unset(req)
          res.json('done')
        })
      }
    }
    for (const path of ['/null', '/delete']) {
      promises(`keep: the stored session is kept as it was (${path})`, open, { routes }, async (site) => {
        const visitor = await known(site)
        await visitor.ask(path)
        expect(await site.held(visitor.sid)).toMatchObject({ user: 'ada' })
        expect((await visitor.ask('/show')).body).not.toHaveProperty('lost')
      })

      promises(
        `destroy: it is destroyed when the response ends (${path})`,
        open,
        { routes, session: { unset: 'destroy' } },
        async (site) => {
          const visitor = await known(site)
          const { sid } = visitor
          await visitor.ask(path)
          expect(await site.held(sid)).toBeUndefined()
          expect((await visitor.ask('/show')).body).not.toHaveProperty('user')
        },
      )
    }
  })

  describe('genid', () => {
    const genid = (req: any): string => `made for ${req.headers['x-name']}`
    promises('makes the id, and is given the request', open, { session: { genid } }, async (site) => {
      const visitor = site.visitor()
      expect((await visitor.ask('/set?user=ada', { 'x-name': 'ada' })).body.sessionID).toBe('made for ada')
      expect(await site.held('made for ada')).toMatchObject({ user: 'ada' })
      await visitor.ask('/login?user=eve', { 'x-name': 'eve' })
      expect(visitor.sid).toBe('made for eve')
      expect(await site.held('made for ada')).toBeUndefined()
    })

    const again = { session: { genid: () => 'always the same' } }
    promises('may give an id again whose session has ended', open, again, async (site) => {
      const visitor = await known(site)
      await visitor.ask('/logout')
      expect(await site.held(visitor.sid)).toBeUndefined()
      await known(site)
      await visitor.ask('/login?user=eve')
      expect(await site.held('always the same')).toMatchObject({ user: 'eve' })
      await visitor.ask('/logout')
      expect(await site.held('always the same')).toBeUndefined()
    })
  })

  describe('req.session', () => {
    promises('its data comes back as JSON has it', open, { routes: assigned }, async (site) => {
      const visitor = await known(site)
      await visitor.ask('/assign')
      const { body } = await visitor.ask('/show')
      expect(body).toMatchObject({
        date: '2020-01-01T00:00:00.000Z',
        nested: { list: [1, { deep: [null] }], empty: {} },
        no: false,
      })
      expect(body).not.toHaveProperty('nothing')
      await visitor.ask('/edit')
      const { nested, ...rest } = await site.held(visitor.sid)
      expect(nested).toEqual({ list: [{ deep: [null, 2] }], empty: { no: 'more' } })
      expect(rest).not.toHaveProperty('no')
    })

    promises('id is the request’s sessionID, and cannot be changed', open, { routes: identified }, async (site) => {
      const visitor = await known(site)
      const { body } = await visitor.ask('/rename')
      expect(body).toEqual({ same: true, id: visitor.sid, threw: true })
    })

    promises('a name of Session’s own members is not taken from the store', open, {}, async (site) => {
      const visitor = await known(site)
      await site.put(visitor.sid, { ...(await site.held(visitor.sid)), save: 'x', touch: 'y', id: 'z' })
      const { status, body } = await visitor.ask('/set?a=1')
      expect(status).toBe(200)
      expect(body).toMatchObject({ user: 'ada', a: '1', id: visitor.sid })
    })

    promises('an id that the store does not have is not taken over', open, {}, async (site) => {
      const visitor = await known(site)
      const { sid } = visitor
      await visitor.ask('/logout')
      const { body, cookie } = await visitor.ask('/set?user=eve')
      expect(body.sessionID).not.toBe(sid)
      expect(cookie).toBeDefined()
      expect(await site.held(sid)).toBeUndefined()
    })
  })

  describe('session.regenerate()', () => {
    promises('gives a new id and an empty session, and destroys the old one', open, {}, async (site) => {
      const visitor = await known(site, 'user=ada&cart=full')
      const { sid } = visitor
      const { body, cookie } = await visitor.ask('/login?user=ada')
      expect(cookie).toBeDefined()
      expect(visitor.sid).not.toBe(sid)
      expect(body).toEqual({ sessionID: visitor.sid, id: visitor.sid, user: 'ada', cookie: expect.anything() })
      expect(await site.held(sid)).toBeUndefined()
      expect((await visitor.ask('/show')).body).toMatchObject({ user: 'ada', id: visitor.sid })
    })
  })

  describe('session.destroy()', () => {
    promises('unsets req.session and sets no cookie; the next request has a new session', open, {}, async (site) => {
      const visitor = await known(site)
      const { sid } = visitor
      const { body, cookie } = await visitor.ask('/logout')
      expect(body).toEqual({ session: 'none' })
      expect(cookie).toBeUndefined()
      expect(await site.held(sid)).toBeUndefined()
      expect((await visitor.ask('/set?user=ada')).body.id).not.toBe(sid)
    })
  })

  describe('session.reload()', () => {
    const routes = (http: any): void => {
      http.get('/reload', async (req: any, res: any, next: any) => {
        const before = req.session
        before.lost = true
        await meanwhile()
        const returned = before.reload((error: unknown) => {
          if (error) return next(error)
          const fresh = req.session !== before
          req.session.seen = fresh
          res.json({ returned: returned === before || returned === undefined, fresh, session: req.session })
        })
      })
    }
    let meanwhile = async (): Promise<unknown> => undefined

    promises('takes what the store holds and drops what was unsaved', open, { routes }, async (site) => {
      const visitor = await known(site)
      const { sid } = visitor
      meanwhile = async () => site.put(sid, { ...(await site.held(sid)), user: 'eve', more: [1] })
      const { body } = await visitor.ask('/reload')
      expect(body).toMatchObject({ fresh: true, session: { user: 'eve', more: [1], seen: true } })
      const held = await site.held(sid)
      expect(held).toMatchObject({ user: 'eve', more: [1], seen: true })
      expect(held).not.toHaveProperty('lost')
    })
  })

  describe('session.save()', () => {
    promises('has stored the session when it calls back, before the response ends', open, { routes: saves }, async (site) => {
      const visitor = await known(site)
      expect((await visitor.ask('/save')).status).toBe(302)
      expect(await site.held(visitor.sid)).toMatchObject({ user: 'ada', saved: 1, later: 2 })
      expect((await visitor.ask('/show')).body).toMatchObject({ saved: 1, later: 2 })
    })

    promises('several times in one request: the last one counts', open, { routes: saves }, async (site) => {
      const visitor = await known(site)
      await visitor.ask('/saves')
      expect(await site.held(visitor.sid)).toMatchObject({ user: 'ada', list: [1, 2, 3], last: 3 })
      expect(await site.held(visitor.sid)).not.toHaveProperty('gone')
    })

    promises('of a new session: stored under the id of the cookie', open, { routes: saves }, async (site) => {
      const visitor = site.visitor()
      await visitor.ask('/save')
      expect(await site.held(visitor.sid)).toMatchObject({ saved: 1, later: 2 })
    })
  })

  describe('session.cookie', () => {
    promises(
      'maxAge is what is left, until the request is over; originalMaxAge stays',
      open,
      { routes: cookies, session: aging },
      async (site) => {
        const visitor = await known(site)
        await age(site, visitor.sid, 20)
        const before = await visitor.ask('/ages')
        // A store may keep the end by itself, and not in the cookie.
        expect(before.body).toEqual({ maxAge: 20, original: 60, touched: 60 })
        expect(await left(site, visitor.sid)).toBe(60)
      },
    )

    promises('maxAge of one visitor is kept, and is the cookie’s', open, { routes: cookies, session: aging }, async (site) => {
      const visitor = await known(site)
      const { cookie } = await visitor.ask('/age?minutes=180&user=eve')
      expect(cookie?.attributes).toContain('Expires in 180 min')
      expect(await left(site, visitor.sid)).toBe(180)
      await visitor.ask('/show')
      expect(await left(site, visitor.sid)).toBe(180)
      expect((await visitor.ask('/age?minutes=5&user=bob')).cookie?.attributes).toContain('Expires in 5 min')
      expect(await left(site, visitor.sid)).toBe(5)
    })

    promises(
      'maxAge alone is stored too, though nothing else was modified',
      open,
      { routes: cookies, session: aging },
      async (site) => {
        const visitor = await known(site)
        const { cookie } = await visitor.ask('/age?minutes=5')
        expect(cookie).toBeUndefined()
        expect(await left(site, visitor.sid)).toBe(5)
      },
    )

    promises('expires = false makes it end with the browser', open, { routes: cookies, session: aging }, async (site) => {
      const visitor = await known(site)
      const { cookie } = await visitor.ask('/forever?user=eve')
      expect(cookie?.attributes.join()).not.toContain('Expires')
      expect((await site.held(visitor.sid)).cookie).toMatchObject({ expires: false, originalMaxAge: false })
      for (const a of [1, 2, 3]) {
        const { cookie: again } = await visitor.ask(`/set?a=${a}`)
        expect(again?.attributes).toEqual(cookie?.attributes)
      }
      expect((await visitor.ask('/show')).body).toMatchObject({ user: 'eve', a: '3' })
    })

    promises('other attributes of one visitor are kept', open, { routes: cookies, session: aging }, async (site) => {
      const visitor = await known(site)
      const set = await visitor.ask('/attributes?user=eve')
      expect(set.cookie?.attributes).toEqual(expect.arrayContaining(['Domain=example.com', 'SameSite=Strict']))
      expect(set.cookie?.attributes).not.toContain('HttpOnly')
      const again = await visitor.ask('/set?user=bob')
      expect(again.cookie?.attributes).toEqual(set.cookie?.attributes)
    })
  })
}

function assigned(http: any): void {
  http.get('/assign', (req: any, res: any) => {
    Object.assign(req.session, {
      date: new Date('2020-01-01'),
      nested: { list: [1, { deep: [Number.NaN] }], empty: {} },
      nothing: undefined,
      no: false,
    })
    show(req, res)
  })
  http.get('/edit', (req: any, res: any) => {
    const { nested } = req.session
    nested.list.shift()
    nested.list[0].deep.push(2)
    nested.empty.no = 'more'
    delete req.session.no
    show(req, res)
  })
}

function identified(http: any): void {
  http.get('/rename', (req: any, res: any) => {
    let threw = false
    try {
      req.session.id = 'mine'
    } catch {
      threw = true
    }
    res.json({ same: req.session.id === req.sessionID, id: req.session.id, threw })
  })
}

function saves(http: any): void {
  http.get('/save', (req: any, res: any, next: any) => {
    req.session.saved = 1
    req.session.save((error: unknown) => {
      if (error) return next(error)
      req.session.later = 2
      res.redirect('/show')
    })
  })
  http.get('/saves', async (req: any, res: any) => {
    const save = (): Promise<unknown> => new Promise((done) => req.session.save(done))
    req.session.list = [1]
    req.session.gone = 1
    const first = save()
    req.session.list.push(2)
    const second = save()
    delete req.session.gone
    await Promise.all([first, second])
    req.session.list.push(3)
    await save()
    req.session.last = 3
    res.json('done')
  })
}

function cookies(http: any): void {
  const minutes = (ms: number): number => Math.round(ms / MINUTE)
  http.get('/ages', (req: any, res: any) => {
    const { cookie } = req.session
    const { maxAge, originalMaxAge } = cookie
    req.session.touch()
    res.json({ maxAge: minutes(maxAge), original: minutes(originalMaxAge), touched: minutes(cookie.maxAge) })
  })
  http.get('/age', (req: any, res: any) => {
    if (req.query.user) req.session.user = req.query.user
    req.session.cookie.maxAge = Number(req.query.minutes) * MINUTE
    res.json('done')
  })
  http.get('/forever', (req: any, res: any) => {
    req.session.user = req.query.user
    req.session.cookie.expires = false
    res.json('done')
  })
  http.get('/attributes', (req: any, res: any) => {
    req.session.user = req.query.user
    Object.assign(req.session.cookie, { domain: 'example.com', httpOnly: false, sameSite: 'strict' })
    res.json('done')
  })
}
