import { afterEach, expect, it } from 'vitest'
import { closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { collect } from '../support/live.js'
import { sidOf } from '../support/sid.js'

afterEach(closeApps)

/** Stored by express-session alone; a merge that goes down into it runs out of stack. */
const DEEP = 3500

it('a session that a request has nested deeper than a merge can go is merged by its keys, and every request is answered', async () => {
  const uncaught = [collect(process, 'uncaughtException'), collect(process, 'unhandledRejection')]
  const store = new ControlledStore()
  let arrived: Array<() => void> = []
  const app = await startApp({
    store,
    routes(http) {
      http.get('/deep', (req, res) => {
        req.session.deep = JSON.parse(`${'{"a":'.repeat(DEEP)}1${'}'.repeat(DEEP)}`)
        res.json('done')
      })
      http.get('/both', (req, res) => {
        arrived.push(() => {
          req.session[String(req.query.key)] = 1
          if (req.query.key === 'b') req.session.deep = { a: req.session.deep }
          res.json('done')
        })
        if (arrived.length < 2) return
        for (const go of arrived) go()
        arrived = []
      })
    },
  })
  const browser = app.browser()
  await browser.get('/deep')
  const answers = await Promise.all([browser.get('/both?key=a'), browser.get('/both?key=b')])
  expect(answers.map(({ status }) => status)).toEqual([200, 200])
  expect(store.stored(sidOf(browser))).toMatchObject({ a: 1, b: 1 })
  expect(JSON.stringify((store.stored(sidOf(browser)) as any).deep)).toHaveLength(6 * (DEEP + 1) + 1)
  expect(uncaught).toEqual([[], []])
})
