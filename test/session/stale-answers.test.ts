import { afterEach, describe, expect, it } from 'vitest'
import { closeApps } from '../support/app.js'
import type { ControlledStore } from '../support/controlled-store.js'
import { collect, tab, turns, visited } from '../support/live.js'

// What an answer says of a session may be older than what is known of it by then.

afterEach(closeApps)

/** Commits as another node does. */
function commitElsewhere(store: ControlledStore, sid: string, id: string, changes: object): void {
  const { cookie, ...data } = store.stored(sid)!
  const { v, ids } = cookie.sharedsession
  store.foreign(sid, { cookie: { ...cookie, sharedsession: { v: v + 1, ids: [...ids, id] } }, ...data, ...changes })
}

describe('the answer to a request’s save', () => {
  it('that comes after a newer state was read does not take a live session back', async () => {
    const { app, store, browser, sid } = await visited()
    const held = store.hold('set', { sid, afterwards: true })
    const saved = browser.get('/set?a=1')
    await held.called
    commitElsewhere(store, sid, 'AAAAAAAAAAAA', { b: 2 })
    const { socket, session } = await tab(app, browser)
    const changes = collect(socket, 'session:changed')
    expect(session).toMatchObject({ a: '1', b: 2 })
    held.release()
    await saved
    await turns()
    expect(session).toMatchObject({ a: '1', b: 2 })
    expect(changes).toEqual([])
  })
})
