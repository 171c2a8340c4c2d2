import { expect, it } from 'vitest'
import type { CookieImage } from '../src/store/document.js'
import { Known } from '../src/store/known.js'
import { contains, type Seen, seen, stamped, tellsSince, withoutRecord } from '../src/store/record.js'

const EMPTY = { cookie: {}, data: {} }

function at(cookie: CookieImage): Seen {
  return seen({ document: { cookie, data: {} }, token: '' })
}

/** What the store holds after these commits. */
function after(ids: string[], from?: Seen): Seen | undefined {
  return ids.reduce((theirs, id) => at(stamped({ document: EMPTY }, theirs, id).cookie), from)
}

it('names the last eight commits, and counts all of them', () => {
  const ids = Array.from({ length: 11 }, (_, n) => `id${n}`)
  const now = after(ids)!
  expect(now.record).toEqual({ v: 11, ids: ids.slice(3) })
  expect(now.document.cookie).toEqual({})
  expect(contains(now, 'id3')).toBe(true)
  expect(contains(now, 'id2')).toBe(false)
})

it('tells what happened since, as far as it reaches back', () => {
  const before = after(['a', 'b'])!
  expect(tellsSince(after(['c', 'd'], before)!, before)).toBe(true)
  expect(tellsSince(after([...'12345678'], before)!, before)).toBe(false)
  expect(tellsSince(after(['x'])!, before)).toBe(false)
  expect(tellsSince(at({}), before)).toBe(false)
  expect(tellsSince(after(['c'], at({}))!, at({}))).toBe(false)
})

it('tells what happened since there was nothing, as long as it names all of it', () => {
  expect(tellsSince(after(['a'])!, undefined)).toBe(true)
  expect(tellsSince(after([...'123456789'])!, undefined)).toBe(false)
})

it('is not taken from what has another form', () => {
  for (const foreign of [1, {}, { v: '1', ids: [] }, { v: 1, ids: 'a' }]) {
    const found = at({ path: '/', sharedsession: foreign })
    expect(found.record).toBeUndefined()
    expect(found.document.cookie).toEqual({ path: '/' })
  }
  const cookie = { path: '/' }
  expect(withoutRecord(cookie)).toBe(cookie)
})

it('what is known of sessions is bounded, and the oldest goes first', () => {
  const known = new Known()
  const held = (text: string) => ({ document: { cookie: {}, data: { text } }, token: text.slice(0, 1) })
  known.note('first', held('a'))
  for (let n = 0; n < 4; n++) known.note(`large ${n}`, held('x'.repeat(5_000_000)))
  expect(known.get('first')).toBeUndefined()
  expect(known.get('large 0')).toBeUndefined()
  expect(known.get('large 3')).toMatchObject({ token: 'x' })
  known.note('large 3', undefined)
  expect(known.get('large 3')).toBeUndefined()
})
