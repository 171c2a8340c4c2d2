import type { Express } from 'express'
import { describe, expect, it } from 'vitest'
import { savesAgain } from '../support/app.js'
import type { ControlledStore, Method } from '../support/controlled-store.js'
import { type Settings, type Site, type Visitor, visited } from './harness.js'
import { memory } from './memory.js'

/** What one request asks of a store that no driver knows: its calls, in their order. */
interface Path {
  name: string
  session?: Settings['session']
  /** The store has no `touch`. */
  touchless?: boolean
  /** What came before the request that is looked at. */
  before?: string[]
  path: string
  without: Method[]
  /** Absent: the same. */
  with?: Method[]
  /** Why they differ. */
  because?: string
}

const MERGED = 'what others have written meanwhile is merged'
const HOUR = { maxAge: 3_600_000 }

const PATHS: Path[] = [
  { name: 'a new session that nobody modified', path: '/show', without: [] },
  { name: 'the same, with saveUninitialized', session: { saveUninitialized: true }, path: '/show', without: ['set'] },
  { name: 'a new session', path: '/set?a=1', without: ['set'] },
  {
    name: 'a new session that is saved and shown',
    path: '/save?a=1',
    without: savesAgain ? ['set', 'set'] : ['set'],
    with: savesAgain ? ['set', 'touch'] : ['set'],
  },
  {
    name: 'a new session that is saved twice',
    path: '/save?a=1&then=2',
    without: ['set', 'set'],
    with: ['set', 'get', 'set'],
    because: MERGED,
  },
  { name: 'a session that is not there any more', before: ['/set?a=1', 'gone'], path: '/set?a=2', without: ['get', 'set'] },
  { name: 'an unmodified session', before: ['/set?a=1'], path: '/show', without: ['get', 'touch'] },
  {
    name: 'the same, rolling',
    session: { rolling: true, cookie: HOUR },
    before: ['/set?a=1'],
    path: '/show',
    without: ['get', 'touch'],
  },
  {
    name: 'the same, with resave',
    session: { resave: true },
    before: ['/set?a=1'],
    path: '/show',
    without: ['get', 'set'],
    with: ['get', 'touch'],
    because: 'a write could undo what another process has written meanwhile',
  },
  { name: 'the same, on a store without touch', touchless: true, before: ['/set?a=1'], path: '/show', without: ['get'] },
  {
    name: 'the same with resave, on a store without touch',
    touchless: true,
    session: { resave: true },
    before: ['/set?a=1'],
    path: '/show',
    without: ['get', 'set'],
    with: ['get', 'get', 'set'],
    because: MERGED,
  },
  {
    name: 'a modified session',
    before: ['/set?a=1'],
    path: '/set?a=2',
    without: ['get', 'set'],
    with: ['get', 'get', 'set'],
    because: MERGED,
  },
  {
    name: 'a modified session that is saved, and not modified after that',
    before: ['/set?a=1'],
    path: '/save?a=2',
    without: ['get', 'set', 'touch'],
    with: ['get', 'get', 'set', 'touch'],
    because: MERGED,
  },
  { name: 'reload', before: ['/set?a=1'], path: '/reload', without: ['get', 'get', 'touch'] },
  { name: 'regenerate', before: ['/set?a=1'], path: '/login?user=ada', without: ['get', 'destroy', 'set'] },
  { name: 'regenerate, without a session before', path: '/login?user=ada', without: ['destroy', 'set'] },
  {
    name: 'regenerate, and save',
    before: ['/set?a=1'],
    path: '/login/save?user=ada',
    without: ['get', 'destroy', 'set', 'set'],
    with: ['get', 'destroy', 'set', 'touch'],
    because: 'express-session saves it again although nothing has changed',
  },
  { name: 'destroy', before: ['/set?a=1'], path: '/logout', without: ['get', 'destroy'] },
  { name: 'unset', session: { unset: 'destroy' }, before: ['/set?a=1'], path: '/unset', without: ['get', 'destroy'] },
]

function routes(http: Express): void {
  http.get('/save', (req, res, next) => {
    const { then, ...data } = req.query
    Object.assign(req.session, data)
    req.session.save((error) => {
      if (then) Object.assign(req.session, { then })
      if (error) next(error)
      else res.json('done')
    })
  })
  http.get('/reload', (req, res, next) => {
    req.session.reload((error) => (error ? next(error) : res.json('done')))
  })
  http.get('/login/save', (req, res, next) => {
    req.session.regenerate((failed) => {
      if (failed) return next(failed)
      req.session.user = String(req.query.user)
      req.session.save((error) => (error ? next(error) : res.json('done')))
    })
  })
  http.get('/unset', (req: any, res) => {
    req.session = null
    res.json('done')
  })
}

describe('calls of a store without a driver', () => {
  for (const { name, session = {}, touchless, before = [], path, ...expected } of PATHS) {
    for (const run of ['without', 'with'] as const) {
      const why = run === 'with' && expected.because ? `, because ${expected.because}` : ''
      it(`${name}: ${run} this package${why}`, async () => {
        const opened = memory()
        if (touchless) Object.assign(opened.store, { touch: undefined })
        await visited(run, opened, { session, routes }, async (site: Site<ControlledStore>) => {
          const visitor: Visitor = site.visitor()
          for (const step of before) {
            if (step === 'gone') site.store.gone(visitor.sid)
            else await visitor.ask(step)
          }
          const first = site.store.calls.length
          expect((await visitor.ask(path)).status).toBe(200)
          expect(site.store.calls.slice(first).map((call) => call.method)).toEqual(
            (run === 'with' && expected.with) || expected.without,
          )
          expect(site.errors).toEqual([])
        })
      })
    }
  }
})
