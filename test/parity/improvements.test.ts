import type { Express } from 'express'
import { describe, expect, it } from 'vitest'
import type { ControlledStore } from '../support/controlled-store.js'
import { deferred } from '../support/wait.js'
import { RUNS, type Settings, type Site, type Visitor, visited } from './harness.js'
import { memory } from './memory.js'

/** A request that has loaded its session, and waits. */
interface Slow {
  /** Lets it go on; resolves when it has been answered. */
  go(): Promise<unknown>
}

interface Scene {
  site: Site<ControlledStore>
  visitor: Visitor
  sid: string
  /** Starts a request to a path that waits. */
  begin(path: string): Promise<Slow>
}

interface Improvement {
  name: string
  session?: Settings['session']
  meanwhile(scene: Scene): Promise<unknown>
  /** What is stored in the end. */
  without: unknown
  with: unknown
}

const user = 'ada'

/** Where this package differs from express-session alone: the guarantee, as docs/guarantees.md names it. */
const improvements: Record<string, Improvement[]> = {
  'No lost updates': [
    {
      name: 'two requests at once, which write different things',
      async meanwhile({ visitor, begin }) {
        const slow = await begin('/slow/set?a=1')
        await visitor.ask('/set?b=2')
        await slow.go()
      },
      without: { user, a: '1' },
      with: { user, a: '1', b: '2' },
    },
    {
      name: 'a request with resave: true, which writes nothing',
      session: { resave: true },
      async meanwhile({ visitor, begin }) {
        const slow = await begin('/slow/show')
        await visitor.ask('/set?b=2')
        await slow.go()
      },
      without: { user },
      with: { user, b: '2' },
    },
    {
      name: 'session.save() of what another request has changed meanwhile',
      async meanwhile({ visitor, begin }) {
        const slow = await begin('/slow/save?a=1')
        await visitor.ask('/set?user=eve')
        await slow.go()
      },
      without: { user, a: '1' },
      with: { user: 'eve', a: '1' },
    },
  ],
  'No resurrection': [
    {
      name: 'a request that writes, while another one logs out',
      async meanwhile({ visitor, begin }) {
        const slow = await begin('/slow/set?a=1')
        await visitor.ask('/logout')
        await slow.go()
      },
      without: { user, a: '1' },
      with: undefined,
    },
    {
      name: 'a request with resave: true, while another one logs out',
      session: { resave: true },
      async meanwhile({ visitor, begin }) {
        const slow = await begin('/slow/show')
        await visitor.ask('/logout')
        await slow.go()
      },
      without: { user },
      with: undefined,
    },
    {
      name: 'a request that writes, while another one regenerates',
      async meanwhile({ visitor, begin }) {
        const slow = await begin('/slow/set?a=1')
        await visitor.ask('/login?user=eve')
        await slow.go()
      },
      without: { user, a: '1' },
      with: undefined,
    },
    {
      name: 'a request that writes, while the session expires',
      async meanwhile({ site, sid, begin }) {
        const slow = await begin('/slow/set?a=1')
        site.store.gone(sid)
        await slow.go()
      },
      without: { user, a: '1' },
      with: undefined,
    },
  ],
}

for (const [guarantee, cases] of Object.entries(improvements)) {
  describe(guarantee, () => {
    for (const improvement of cases) {
      for (const run of RUNS) {
        it(`${improvement.name}: ${run} this package`, async () => {
          let arrived = deferred()
          let go = deferred()
          const routes = (http: Express): void => {
            http.use('/slow', async (_req, _res, next) => {
              arrived.resolve()
              await go.promise
              next()
            })
            http.get('/slow/set', (req, res) => {
              Object.assign(req.session, req.query)
              res.json('done')
            })
            http.get('/slow/show', (_req, res) => void res.json('done'))
            http.get('/slow/save', (req, res, next) => {
              Object.assign(req.session, req.query)
              req.session.save((error) => (error ? next(error) : res.json('done')))
            })
          }
          const session = improvement.session ?? {}
          await visited(run, memory(), { session, routes }, async (site) => {
            const visitor = site.visitor()
            await visitor.ask(`/set?user=${user}`)
            const { sid } = visitor
            const cookie = String(visitor.cookie)
            const begin = async (path: string): Promise<Slow> => {
              arrived = deferred()
              go = deferred()
              const answer = site.visitor().ask(path, { cookie })
              await arrived.promise
              return {
                go() {
                  go.resolve()
                  return answer
                },
              }
            }
            await improvement.meanwhile({ site, visitor, sid, begin })
            const { cookie: _, ...data } = (await site.held(sid)) ?? {}
            expect(site.store.ids().includes(sid) ? data : undefined).toEqual(improvement[run === 'without' ? 'without' : 'with'])
            // Nobody is told of it: the request was answered as it always was.
            expect(site.errors).toEqual([])
          })
        })
      }
    }
  })
}

describe('It costs when something changes', () => {
  it.each(RUNS)('a save that changes nothing: %s this package', async (run) => {
    await visited(run, memory(), { session: { resave: true } }, async ({ store, ...site }) => {
      const visitor = site.visitor()
      await visitor.ask('/set?user=ada')
      const before = { set: store.count('set'), touch: store.count('touch') }
      await visitor.ask('/show')
      const calls = { set: store.count('set') - before.set, touch: store.count('touch') - before.touch }
      expect(calls).toEqual(run === 'without' ? { set: 1, touch: 0 } : { set: 0, touch: 1 })
    })
  })
})
