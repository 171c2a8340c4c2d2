import { expect, it } from 'vitest'
import { Attached, reserveAttached } from '../../src/util/attached.js'

it('has a value for each object, and none for others', () => {
  const [first, second] = [new Attached<number>(), new Attached<string>()]
  const [target, other] = [{}, {}]
  expect(first.get(target)).toBeUndefined()
  first.set(target, 1)
  second.set(target, 'a')
  first.set(target, 2)
  expect([first.get(target), second.get(target)]).toEqual([2, 'a'])
  expect([first.get(other), second.get(other)]).toEqual([undefined, undefined])
})

it.each([0, 1, 2])('forgets the value that was set at place %i, and keeps those of the others', (place) => {
  const all = [new Attached<number>(), new Attached<number>(), new Attached<number>()]
  const target = {}
  for (const [index, each] of all.entries()) each.set(target, index)
  all[place]!.delete(target)
  all[place]!.delete(target)
  expect(all.map((each) => each.get(target))).toEqual([0, 1, 2].map((index) => (index === place ? undefined : index)))
  all[place]!.set(target, 7)
  expect(all.map((each) => each.get(target))).toEqual([0, 1, 2].map((index) => (index === place ? 7 : index)))
})

it('is seen by nobody, also on an object that takes no properties, and not through an heir', () => {
  const attached = new Attached<number>()
  const target = Object.freeze({ a: 1 })
  reserveAttached(target)
  attached.set(target, 1)
  expect(attached.get(target)).toBe(1)
  expect(Reflect.ownKeys(target)).toEqual(['a'])
  expect(attached.get(Object.create(target))).toBeUndefined()
})
