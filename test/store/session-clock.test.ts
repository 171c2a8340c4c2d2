import { describe, expect, it } from 'vitest'
import { FIRST_MOMENT, type Moment, SessionClock } from '../../src/store/session-clock.js'
import { deferred } from '../support/wait.js'

describe('the session clock', () => {
  it('remembers the ends of the last ten thousand sessions; a forgotten session counts as not ended', () => {
    const clock = new SessionClock()
    for (let count = 0; count <= 10_000; count++) clock.noteEnd(`${count}`, 'destroyed', undefined)
    expect(clock.tombstone('0')).toBeUndefined()
    expect([clock.hasEnded('0'), clock.endedSince('0', FIRST_MOMENT)]).toEqual([false, false])
    expect(clock.tombstone('1')).toMatchObject({ reason: 'destroyed' })
  })

  it('compares the end of a session with a moment; a session that never ended has not ended since', () => {
    const clock = new SessionClock()
    clock.noteEnd('a', 'expired', undefined)
    const moment = clock.now()
    expect([clock.endedSince('a', FIRST_MOMENT), clock.endedSince('a', moment), clock.endedSince('b', FIRST_MOMENT)]).toEqual([
      true,
      false,
      false,
    ])
    clock.noteEnd('a', 'destroyed', undefined)
    expect(clock.endedSince('a', moment)).toBe(true)
  })

  it('after all sessions were ended, each of them has ended since an earlier moment', () => {
    const clock = new SessionClock()
    clock.noteCommit('a')
    const moment = clock.now()
    clock.noteAllEnded()
    expect([clock.endedSince('a', moment), clock.endedSince('never seen', moment)]).toEqual([true, true])
    expect(clock.endedSince('a', clock.now())).toBe(false)
  })

  it('a tombstone has the rotation until its response has left', async () => {
    const clock = new SessionClock()
    const answered = deferred()
    clock.noteEnd('a', 'regenerated', answered.promise)
    expect(clock.tombstone('a')!.rotation).toBe(answered.promise)
    answered.resolve()
    await answered.promise
    expect(clock.tombstone('a')!.rotation).toBeUndefined()
  })

  it('a session that ended and was stored again has not ended', () => {
    const clock = new SessionClock()
    clock.noteStoredAgain('a')
    clock.noteEnd('a', 'destroyed', undefined)
    expect(clock.hasEnded('a')).toBe(true)
    clock.noteStoredAgain('a')
    expect(clock.hasEnded('a')).toBe(false)
  })

  it('remembers ten thousand commits; a forgotten session counts as committed after the moment', () => {
    const clock = new SessionClock()
    clock.noteCommit('first')
    const moment = clock.now()
    const since = (sid: string, moment: Moment) => clock.committedSince(sid, moment)
    expect([since('first', FIRST_MOMENT), since('first', moment), since('never', FIRST_MOMENT)]).toEqual([true, false, false])
    for (let n = 0; n < 10_000; n++) clock.noteCommit(`${n}`)
    expect([since('first', FIRST_MOMENT), since('never', FIRST_MOMENT), since('never', moment)]).toEqual([true, true, false])
  })

  it('ten thousand commits of other sessions do not make it forget an end', () => {
    const clock = new SessionClock()
    clock.noteEnd('a', 'destroyed', undefined)
    for (let n = 0; n <= 10_000; n++) clock.noteCommit(`${n}`)
    expect(clock.hasEnded('a')).toBe(true)
  })
})
