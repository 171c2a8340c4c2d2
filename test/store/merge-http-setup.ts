import type { Express } from 'express'
import type { SharedSessionOptions } from '../../src/index.js'
import { type App, type AppOptions, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { collect, type Live, live, QUICK, tab } from '../support/live.js'
import { deferred } from '../support/wait.js'

export type Merge = SharedSessionOptions['merge']

/** A route that changes its session in steps: between them it waits for the test. */
export function steps(...todo: ((req: any, app: { shared: App['shared'] }) => unknown)[]) {
  const checkpoints = todo.map(() => ({ reached: deferred(), go: deferred() }))
  const app: { shared: App['shared'] } = { shared: undefined as never }
  const routes = (http: Express): void => {
    http.get('/steps', async (req, res) => {
      for (const [index, step] of todo.entries()) {
        checkpoints[index]!.reached.resolve()
        await checkpoints[index]!.go.promise
        await step(req, app)
      }
      res.json(req.session)
    })
  }
  return {
    routes,
    app,
    at: (index: number) => checkpoints[index]!.reached.promise,
    go: (index: number) => checkpoints[index]!.go.resolve(),
  }
}

export const open = (merge: Merge, options: AppOptions = {}): Promise<Live> =>
  live({ ...options, shared: { merge, autoSave: false, ...options.shared } })

/** Another process on the same store, as far as this library can tell: another store object, another session manager. */
export async function secondProcess({ store, browser }: Live, merge: Merge) {
  const other = Object.assign(new ControlledStore(), { sessions: (store as any).sessions })
  const app = await startApp({ store: other, shared: { merge, autoSave: false, retry: QUICK } })
  const visitor = app.browser()
  visitor.cookie = browser.cookie
  return { app, ...(await tab(app, visitor)) }
}

export const conflictsOf = (app: App) => collect(app.shared.events, 'session:conflict')
