import { describe, expect, it } from 'vitest'
import { mergeCookies, RecentCookieChanges } from '../../src/store/cookie.js'
import { SessionClock } from '../../src/store/session-clock.js'

const HOUR = 3_600_000
const at = (ms: number): string => new Date(Date.now() + ms).toISOString()
const cookie = (originalMaxAge: number | null, expires: string | null, attributes: object = {}) => ({
  path: '/',
  ...attributes,
  originalMaxAge,
  expires,
})

describe('mergeCookies', () => {
  it('takes the later expiry where nobody changed the maximum age', () => {
    const [early, late] = [at(HOUR / 2), at(HOUR)]
    expect(mergeCookies(cookie(HOUR, early), cookie(HOUR, early), cookie(HOUR, late)).expires).toBe(late)
    expect(mergeCookies(cookie(HOUR, early), cookie(HOUR, late), cookie(HOUR, early)).expires).toBe(late)
  })

  it('lets a writer who changed the maximum age decide, also for a shorter life', () => {
    const short = at(HOUR / 10)
    expect(mergeCookies(cookie(HOUR, at(HOUR)), cookie(HOUR / 10, short), cookie(HOUR, at(HOUR)))).toMatchObject({
      originalMaxAge: HOUR / 10,
      expires: short,
    })
  })

  it('keeps what another writer has changed meanwhile: the maximum age and other attributes', () => {
    const [soon, later] = [at(HOUR), at(HOUR * 24)]
    expect(
      mergeCookies(cookie(HOUR, soon), cookie(HOUR, soon, { secure: true }), cookie(HOUR * 24, later, { sameSite: 'lax' })),
    ).toEqual({ path: '/', secure: true, sameSite: 'lax', originalMaxAge: HOUR * 24, expires: later })
  })

  it('removes an attribute that the writer has removed', () => {
    const merged = mergeCookies(cookie(null, null, { domain: 'a' }), cookie(null, null), cookie(null, null, { domain: 'a' }))
    expect(JSON.parse(JSON.stringify(merged))).toEqual(cookie(null, null))
  })

  it('hands on the store’s own cookie where its writer has changed nothing, and nothing else', () => {
    const [early, late] = [at(HOUR / 2), at(HOUR)]
    const mine = cookie(HOUR, early)
    const theirs = cookie(HOUR, late, { secure: true })
    expect(mergeCookies(mine, mine, theirs)).toBe(theirs)
    expect(mergeCookies(mine, { ...mine, domain: 'a' }, theirs)).toEqual({ ...theirs, domain: 'a' })
    const renewed = cookie(HOUR, at(HOUR * 2))
    expect(mergeCookies(renewed, renewed, theirs)).toEqual({ ...theirs, expires: renewed.expires })
  })

  it('leaves a session without an expiry without one', () => {
    expect(mergeCookies(cookie(null, null), cookie(null, null), {})).toMatchObject({ originalMaxAge: null, expires: null })
  })

  it('does not write an expiry in the past: some stores do not store it on a touch', () => {
    const passed = at(-HOUR)
    const { expires } = mergeCookies(cookie(HOUR, passed), cookie(HOUR, passed), cookie(HOUR, passed))
    expect(new Date(expires!).getTime()).toBeGreaterThan(Date.now())
  })

  it('writes an expiry without a maximum age unchanged', () => {
    const passed = at(-HOUR)
    expect(mergeCookies(cookie(null, passed), cookie(null, passed), cookie(null, passed)).expires).toBe(passed)
  })
})

describe('a touch by a request that had loaded the session before its cookie was changed', () => {
  it('keeps the change, and counts the new maximum age from now', () => {
    const clock = new SessionClock()
    const changed = new RecentCookieChanges(clock)
    const loaded = { cookie: cookie(HOUR, at(HOUR)), loadedMoment: clock.now() }
    changed.note('sid', loaded.cookie, cookie(HOUR * 24, at(HOUR * 23), { sameSite: 'lax' }))
    const touched = changed.touched('sid', loaded, cookie(HOUR, at(HOUR)))
    expect(touched).toMatchObject({ originalMaxAge: HOUR * 24, sameSite: 'lax' })
    expect(new Date(touched.expires!).getTime()).toBeGreaterThan(Date.now() + HOUR * 23.5)
  })

  it('keeps a change to no maximum age', () => {
    const clock = new SessionClock()
    const changed = new RecentCookieChanges(clock)
    const loaded = { cookie: cookie(HOUR, at(HOUR)), loadedMoment: clock.now() }
    changed.note('sid', loaded.cookie, cookie(null, null))
    expect(changed.touched('sid', loaded, cookie(HOUR, at(HOUR)))).toMatchObject({ originalMaxAge: null, expires: null })
  })

  it('still moves the expiry where only another attribute was changed', () => {
    const clock = new SessionClock()
    const changed = new RecentCookieChanges(clock)
    const loaded = { cookie: cookie(HOUR, at(HOUR / 2)), loadedMoment: clock.now() }
    changed.note('sid', loaded.cookie, cookie(HOUR, at(HOUR / 2), { sameSite: 'lax' }))
    const end = at(HOUR)
    expect(changed.touched('sid', loaded, cookie(HOUR, end))).toEqual({
      path: '/',
      sameSite: 'lax',
      originalMaxAge: HOUR,
      expires: end,
    })
    expect(changed.touched('sid', loaded, cookie(null, null))).toMatchObject({
      sameSite: 'lax',
      originalMaxAge: null,
      expires: null,
    })
  })

  it('takes the request’s cookie where it has loaded the session since, or has another session', () => {
    const clock = new SessionClock()
    const changed = new RecentCookieChanges(clock)
    const before = { cookie: cookie(HOUR, at(HOUR)), loadedMoment: clock.now() }
    changed.note('sid', before.cookie, cookie(HOUR * 24, at(HOUR * 24)))
    // By another process, of which this one was not notified.
    const foreign = { cookie: cookie(HOUR * 2, at(HOUR * 2)), loadedMoment: clock.now() }
    expect(changed.touched('sid', foreign, foreign.cookie)).toEqual(foreign.cookie)
    expect(changed.touched('other', before, before.cookie)).toEqual(before.cookie)
  })

  it('keeps the changes of the last ten thousand sessions', () => {
    const clock = new SessionClock()
    const changed = new RecentCookieChanges(clock)
    const loaded = { cookie: cookie(HOUR, null), loadedMoment: clock.now() }
    for (let count = 0; count <= 10_000; count++) changed.note(`${count}`, loaded.cookie, cookie(null, null))
    expect(changed.touched('0', loaded, loaded.cookie).originalMaxAge).toBe(HOUR)
    expect(changed.touched('1', loaded, loaded.cookie).originalMaxAge).toBe(null)
  })
})
