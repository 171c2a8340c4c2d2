import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { TrackedDocument } from '../../src/document/tracked-document.js'
import { type Any, open } from './harness.js'

// What becomes of an array or an object that a copy with the same elements replaces, as `session.list = session.list.filter(..)` does.

/** How many containers the document believes to hold this one. */
const parentsOf = (document: TrackedDocument, proxyPath: string[]): number => {
  const { tree } = (document as Any).state
  const raw = proxyPath.reduce((value, key) => value[key], tree.root.raw)
  return tree.find(raw).parents.length
}

describe('a list that is replaced again and again', () => {
  const replacements: [name: string, replace: (session: Any) => void, path: string[]][] = [
    ['map', (session) => (session.list = session.list.map((x: Any) => x)), ['list', '0']],
    ['spread', (session) => (session.list = [...session.list]), ['list', '0']],
    ['an object', (session) => (session.cart = { ...session.cart, total: session.cart.total + 1 }), ['cart', 'items']],
  ]

  it.each(replacements)('%s: the elements forget the former containers at each save', (_, replace, path) => {
    const { session, document, takeChanges } = open({ list: [{ id: 1 }, { id: 2 }], cart: { items: [{ id: 1 }], total: 0 } })
    for (let i = 0; i < 20; i++) {
      replace(session)
      takeChanges()
    }
    expect(parentsOf(document, path)).toBe(1)
  })

  it('frees what was taken out of it', async () => {
    setFlagsFromString('--expose_gc')
    const collectGarbage = runInNewContext('gc') as () => void
    const document = new TrackedDocument({ list: [] })
    const session = document.view({}) as Any
    const removed: WeakRef<object>[] = []
    for (let i = 0; i < 10; i++) {
      // The newest three, as a list of recent messages keeps them.
      session.list = [...session.list.slice(-2), { id: i }]
      document.takeChanges()
      removed.push(new WeakRef((document as Any).state.tree.root.raw.list[0]))
    }
    // What the last save took is kept for a rollback, and copies as long as the objects that they are copies of are watched.
    document.takeChanges()
    await new Promise(setImmediate)
    collectGarbage()
    document.scanWatchedObjects()
    await new Promise(setImmediate)
    collectGarbage()
    const kept = new Set((document as Any).state.tree.root.raw.list)
    expect(removed.filter((ref) => ref.deref() && !kept.has(ref.deref()))).toEqual([])
  })
})

describe('a reference to the replaced list', () => {
  const replaced = () => {
    const opened = open({
      list: [
        { id: 1, tags: ['a'] },
        { id: 2, tags: [] },
      ],
      box: {},
    })
    const { session, flush } = opened
    const old = session.list
    session.list = session.list.map((x: Any) => x)
    flush()
    return { ...opened, old }
  }

  it('still shares its elements with the session', () => {
    const { old, flush, session } = replaced()
    old[0].id = 5
    old[1].tags.push('b')
    expect(flush()).toEqual([
      { op: 'replace', path: ['list', 0, 'id'], value: 5 },
      { op: 'add', path: ['list', 1, 'tags', 0], value: 'b' },
    ])
    session.list[0].id = 6
    expect(old[0].id).toBe(6)
  })

  it('can be written to without a change of the session', () => {
    const { old, flush, live } = replaced()
    old.push({ id: 3 })
    old.shift()
    expect(flush()).toEqual([])
    expect(live().list).toHaveLength(2)
  })

  it('can be assigned again: the two places are split at the save, at each depth', () => {
    const { old, session, flush, live } = replaced()
    session.box.old = old
    session.box.old[0].tags.push('b')
    expect(session.list[0].tags).toEqual(['a', 'b'])
    flush()
    session.box.old[0].tags.push('c')
    old[1].id = 7
    flush()
    expect(live()).toEqual({
      list: [
        { id: 1, tags: ['a', 'b'] },
        { id: 2, tags: [] },
      ],
      box: {
        old: [
          { id: 1, tags: ['a', 'b', 'c'] },
          { id: 7, tags: [] },
        ],
      },
    })
  })

  it('can be assigned again with what holds it', () => {
    const { session, flush, live } = open({ outer: { inner: { deep: { v: 1 } } }, x: {} })
    const { outer } = session
    session.x.deep = outer.inner.deep
    delete session.outer
    flush()
    // Only `outer` is put back; what it holds two levels below is at two places then.
    session.outer = outer
    session.x.deep.v = 2
    expect(session.outer.inner.deep.v).toBe(2)
    flush()
    session.x.deep.v = 3
    flush()
    expect(live()).toEqual({ outer: { inner: { deep: { v: 2 } } }, x: { deep: { v: 3 } } })
  })

  it('cannot be put into an element that it holds', () => {
    const { old, session, problems, live } = replaced()
    session.list[0].back = old
    session.list[1].tags.push({ old })
    expect(problems()).toMatchObject([{ code: 'NOT_STORABLE' }, { code: 'NOT_STORABLE' }])
    expect(live().list).toEqual([
      { id: 1, tags: ['a'] },
      { id: 2, tags: [] },
    ])
  })

  it('comes back with a discard after a failed save', () => {
    const { session, document, flush, live } = open({ list: [{ id: 1 }], other: 1 })
    const [first] = session.list
    session.list = [...session.list]
    document.takeChanges()
    document.rollback()
    document.discard()
    first.id = 2
    session.copy = [...session.list]
    expect(flush()).toEqual([
      { op: 'add', path: ['copy'], value: [{ id: 2 }] },
      { op: 'replace', path: ['list', 0, 'id'], value: 2 },
    ])
    session.copy[0].id = 3
    flush()
    expect(live()).toEqual({ list: [{ id: 2 }], other: 1, copy: [{ id: 3 }] })
  })

  it('and an element of an array come back with it, and with what was moved out of them', () => {
    const { session, document, flush } = open({ list: [{ inner: { v: 1 } }] })
    const [element] = session.list
    session.x = element.inner
    session.list.pop()
    document.takeChanges()
    document.rollback()
    document.discard()
    element.inner.v = 2
    expect(flush()).toEqual([{ op: 'replace', path: ['list', 0, 'inner', 'v'], value: 2 }])
  })
})
