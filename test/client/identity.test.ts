import { describe, expect, it } from 'vitest'
import { lively, type State } from './support.js'

describe('identity', () => {
  it('is kept by what is equal in another whole state, and lost by what is not', () => {
    const { server, live } = lively({ user: { name: 'Ada' }, items: ['tea'] })
    const before = live.get()!
    server.send({ t: 'other', s: { user: { name: 'Ada' }, items: ['milk'] }, n: server.session })
    const after = live.get()!
    expect(after.user).toBe(before.user)
    expect(after.items).not.toBe(before.items)
    server.send({ t: 'again', s: { user: { name: 'Ada' }, items: ['milk'] }, n: server.session })
    expect(live.get()).toBe(after)
  })

  it('is kept beside the path of a change', () => {
    const { server, live } = lively()
    const { t } = server.sent[0] as { t: string }
    const before = live.get()!
    server.send({ t: 'next', f: t, p: [[['items'], 1, 0, ['milk']]] })
    expect(live.get()).toEqual({ user: { name: 'Ada' }, items: ['tea', 'milk'] })
    expect(live.get()!.user).toBe(before.user)
  })

  it('is kept by an element in its place, and not by one that has moved', () => {
    const { server, live } = lively({ items: [['tea'], ['milk']] as unknown as string[] })
    const { t } = server.sent[0] as { t: string }
    const before = live.get()!.items
    server.send({ t: 'more', f: t, p: [[['items'], 2, 0, [['rice']]]] })
    expect(
      live
        .get()!
        .items.slice(0, 2)
        .every((item, index) => item === before[index]),
    ).toBe(true)
    server.send({ t: 'less', f: 'more', p: [[['items'], 0, 1, []]] })
    expect(live.get()!.items).toEqual([['milk'], ['rice']])
    expect(live.get()!.items[0]).not.toBe(before[1])
  })

  it('tells an array from an object', () => {
    const { server, live } = lively({ items: [] })
    server.send({ t: 'other', s: { items: {} }, n: server.session })
    expect(live.get()).toEqual({ items: {} })
    server.send({ t: 'third', s: { items: [] }, n: server.session })
    expect(Array.isArray(live.get()!.items)).toBe(true)
  })

  it('of a key with the name of an inherited member is its own', () => {
    const { server, live } = lively()
    server.send({ t: 'other', s: { constructor: {}, toString: {}, hasOwnProperty: [] }, n: server.session })
    expect(JSON.stringify(live.get())).toBe('{"constructor":{},"hasOwnProperty":[],"toString":{}}')
  })

  it.each([
    ['an equal part', (a: object) => ({ items: ['tea'], user: a })],
    ['an equal state', (a: object) => ({ user: a, items: ['tea'] })],
  ])('is kept by %s with its keys in another order', (_what, order) => {
    const { server, live } = lively({ user: { name: 'Ada', mail: 'a' }, items: ['tea'] } as State)
    const before = live.get()!
    let calls = 0
    live.listen(() => calls++)
    server.send({ t: 'other', s: order({ mail: 'a', name: 'Ada' }), n: server.session })
    expect(live.get()).toBe(before)
    expect(calls).toBe(0)
  })

  it('is lost by an object that has one key for another, and by an array that is shorter', () => {
    const { server, live } = lively({ user: { name: 'Ada' }, items: ['tea', 'milk'] })
    const before = live.get()!
    server.send({ t: 'other', s: { user: { mail: 'Ada' }, items: ['tea'] }, n: server.session })
    expect(live.get()).toEqual({ user: { mail: 'Ada' }, items: ['tea'] })
    expect(live.get()!.items).not.toBe(before.items)
  })

  it('is never that of what a key inherits', () => {
    const { server, live } = lively()
    server.send({ t: 'other', s: { constructor: { prototype: {} }, items: { constructor: {} } }, n: server.session })
    expect((live.get() as any).constructor.prototype).not.toBe(Object.prototype)
    expect(JSON.stringify(live.get())).toBe('{"constructor":{"prototype":{}},"items":{"constructor":{}}}')
    expect(Object.isFrozen(Object.prototype)).toBe(false)
  })
})
