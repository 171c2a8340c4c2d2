import type { Express } from 'express'
import { deferred } from './wait.js'

/** A place at which something stops until the test lets it go on. */
export function pausing() {
  const arrived = deferred()
  const gate = deferred()
  const here = (): Promise<void> => {
    arrived.resolve()
    return gate.promise
  }
  return {
    /** Resolves when it has come there. */
    arrived: arrived.promise,
    go: () => gate.resolve(),
    here,
    /** A route that has loaded its session and stops there; then it does this, and answers with what that returns. */
    route(http: Express, path: string, work?: (req: any) => unknown): void {
      http.get(path, async (req, res) => {
        await here()
        res.json(work?.(req) ?? {})
      })
    },
  }
}

/** The route `/slow` as an option of `startApp`: it stops, does this, and answers with its session. */
export function slowRoute(work: (req: any) => void) {
  const { arrived, go, route } = pausing()
  const routes = (http: Express): void =>
    route(http, '/slow', (req) => {
      work(req)
      return req.session
    })
  return { arrived, go, routes }
}

/** The route `/login` as an option of `startApp`: it gives the session a new id and a user, and stops before it answers. */
export function slowLogin() {
  const { arrived, go, here } = pausing()
  const routes = (http: Express): void => {
    http.get('/login', (req, res) => {
      req.session.regenerate(async () => {
        req.session.user = 'grace'
        await here()
        res.json({})
      })
    })
  }
  return { regenerated: arrived, answer: go, routes }
}
