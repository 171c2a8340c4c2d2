import { expect, it } from 'vitest'
import { appendCommit, appendCommitOnce, coversSince, includesCommit, withoutHistory } from '../../src/store/commit-history.js'
import { Snapshot } from '../../src/store/snapshot.js'
import { SnapshotCache } from '../../src/store/snapshot-cache.js'

const EMPTY = new Snapshot({ cookie: { path: '/' }, data: {} })

/** What the store holds after these commits. */
function after(ids: string[], from?: Snapshot): Snapshot {
  const stored = ids.reduce((current, id) => EMPTY.with({ history: appendCommit(current?.history, id) }), from ?? EMPTY)
  return Snapshot.fromStored({ text: stored.toText() })
}

it('a commit history names the last eight commits, and counts all of them', () => {
  const ids = Array.from({ length: 11 }, (_, n) => `id${n}`)
  const now = after(ids)
  expect(now.history).toEqual({ v: 11, ids: ids.slice(3) })
  expect(now.cookie).toEqual({ path: '/' })
  expect(includesCommit(now, 'id3')).toBe(true)
  expect(includesCommit(now, 'id2')).toBe(false)
})

it('a commit history tells which commits happened since another one, as far as it reaches back', () => {
  const before = after(['a', 'b'])
  expect(coversSince(after(['c', 'd'], before), before)).toBe(true)
  expect(coversSince(after([...'12345678'], before), before)).toBe(false)
  expect(coversSince(after(['x']), before)).toBe(false)
  expect(coversSince(EMPTY, before)).toBe(false)
  expect(coversSince(after(['c'], EMPTY), EMPTY)).toBe(false)
})

it('a commit history remembers commits that have to happen once, and does not take them for the last ones', () => {
  const joined = EMPTY.with({ history: appendCommitOnce(after(['a']).history, 'join') })
  expect(joined.history).toEqual({ v: 2, ids: ['a', 'join'], once: ['join'] })
  const now = after([...'12345678'], joined)
  expect(now.history).toEqual({ v: 10, ids: [...'12345678'], once: ['join'] })
  expect(includesCommit(now, 'join')).toBe(true)
  expect(coversSince(now, joined)).toBe(false)
  const many = Array.from({ length: 9 }, (_, n) => `join${n}`)
  expect(many.reduce(appendCommitOnce, now.history)?.once).toEqual(many.slice(1))
})

it('a commit history tells all commits since there was no session, as long as it names all of them', () => {
  expect(coversSince(after(['a']), undefined)).toBe(true)
  expect(coversSince(after([...'123456789']), undefined)).toBe(false)
})

it('a field of another form is not taken for a commit history', () => {
  for (const foreign of [1, {}, { v: '1', ids: [] }, { v: 1, ids: 'a' }]) {
    const found = Snapshot.fromSession({ cookie: { path: '/', sharedsession: foreign } })
    expect(found.history).toBeUndefined()
    expect(found.cookie).toEqual({ path: '/' })
  }
  const cookie = { path: '/' }
  expect(withoutHistory(cookie)).toBe(cookie)
})

it('a stored text has the commit history in its cookie, whatever the cookie holds', () => {
  const history = appendCommit(undefined, 'a')
  for (const cookie of [{}, { path: '/', sharedsession: 'no history' }]) {
    const stored = Snapshot.fromStored({ text: new Snapshot({ cookie, data: { n: 1 }, history }).toText() })
    expect(stored).toMatchObject({ history, data: { n: 1 } })
    expect(stored.cookie).not.toHaveProperty('sharedsession')
  }
})

it('the snapshot cache is bounded, and the oldest session goes first', () => {
  const cache = new SnapshotCache()
  const snapshot = (text: string): Snapshot =>
    new Snapshot({ cookie: {}, data: { text }, record: { text: '', token: text.slice(0, 1) } })
  cache.set('first', snapshot('a'))
  for (let n = 0; n < 4; n++) cache.set(`large ${n}`, snapshot('x'.repeat(5_000_000)))
  expect(cache.get('first')).toBeUndefined()
  expect(cache.get('large 0')).toBeUndefined()
  expect(cache.get('large 3')).toMatchObject({ etag: 'x' })
  cache.set('large 3', undefined)
  expect(cache.get('large 3')).toBeUndefined()
})

it('two readers of the snapshot cache do not share the data', () => {
  const cache = new SnapshotCache()
  const first = Snapshot.fromStored({ text: '{"cookie":{},"list":[1]}', token: 'etag' })
  cache.set('sid', first)
  Object.assign(first.data, { list: [2] })
  Object.assign(cache.get('sid')!.data, { list: [3] })
  expect(cache.get('sid')!.data).toEqual({ list: [1] })
})
