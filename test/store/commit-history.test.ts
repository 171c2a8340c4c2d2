import { expect, it } from 'vitest'
import {
  coversSince,
  includesCommit,
  type LoadedSnapshot,
  loadSnapshot,
  withHistory,
  withoutHistory,
} from '../../src/store/commit-history.js'
import type { CookieJson } from '../../src/store/document.js'
import { SnapshotCache } from '../../src/store/snapshot-cache.js'

const EMPTY = { cookie: {}, data: {} }

function at(cookie: CookieJson): LoadedSnapshot {
  return loadSnapshot({ document: { cookie, data: {} }, etag: '' })
}

/** What the store holds after these commits. */
function after(ids: string[], from?: LoadedSnapshot): LoadedSnapshot | undefined {
  return ids.reduce((theirs, id) => at(withHistory({ document: EMPTY }, theirs, id).cookie), from)
}

it('names the last eight commits, and counts all of them', () => {
  const ids = Array.from({ length: 11 }, (_, n) => `id${n}`)
  const now = after(ids)!
  expect(now.record).toEqual({ v: 11, ids: ids.slice(3) })
  expect(now.document.cookie).toEqual({})
  expect(includesCommit(now, 'id3')).toBe(true)
  expect(includesCommit(now, 'id2')).toBe(false)
})

it('tells what happened since, as far as it reaches back', () => {
  const before = after(['a', 'b'])!
  expect(coversSince(after(['c', 'd'], before)!, before)).toBe(true)
  expect(coversSince(after([...'12345678'], before)!, before)).toBe(false)
  expect(coversSince(after(['x'])!, before)).toBe(false)
  expect(coversSince(at({}), before)).toBe(false)
  expect(coversSince(after(['c'], at({}))!, at({}))).toBe(false)
})

it('tells what happened since there was nothing, as long as it names all of it', () => {
  expect(coversSince(after(['a'])!, undefined)).toBe(true)
  expect(coversSince(after([...'123456789'])!, undefined)).toBe(false)
})

it('is not taken from what has another form', () => {
  for (const foreign of [1, {}, { v: '1', ids: [] }, { v: 1, ids: 'a' }]) {
    const found = at({ path: '/', sharedsession: foreign })
    expect(found.record).toBeUndefined()
    expect(found.document.cookie).toEqual({ path: '/' })
  }
  const cookie = { path: '/' }
  expect(withoutHistory(cookie)).toBe(cookie)
})

it('what is known of sessions is bounded, and the oldest goes first', () => {
  const known = new SnapshotCache()
  const held = (text: string) => ({ document: { cookie: {}, data: { text } }, etag: text.slice(0, 1) })
  known.set('first', held('a'))
  for (let n = 0; n < 4; n++) known.set(`large ${n}`, held('x'.repeat(5_000_000)))
  expect(known.get('first')).toBeUndefined()
  expect(known.get('large 0')).toBeUndefined()
  expect(known.get('large 3')).toMatchObject({ etag: 'x' })
  known.set('large 3', undefined)
  expect(known.get('large 3')).toBeUndefined()
})
