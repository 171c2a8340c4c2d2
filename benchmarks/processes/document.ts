// Change tracking by itself, without a server or a store.

import type { JsonObject } from '../../src/document/json.js'
import { TrackedDocument } from '../../src/document/tracked-document.js'
import { type BenchData, dataOf } from '../session.js'
import { serve } from '../worker.js'

let sink: unknown

/** The median over several rounds of what one call takes, in µs. */
function perCall(ms: number, call: () => unknown): number {
  // Until it is compiled; that is done beside, so it takes its time on a busy machine.
  const warm = performance.now() + 10 * ms
  do sink = call()
  while (performance.now() < warm)
  const times = Array.from({ length: 9 }, () => {
    const start = performance.now()
    let calls = 0
    do {
      for (let i = 0; i < 10; i++) sink = call()
      calls += 10
    } while (performance.now() - start < ms)
    return ((performance.now() - start) / calls) * 1000
  })
  return times.sort((a, b) => a - b)[4]!
}

const trackedOf = (data: object): TrackedDocument => new TrackedDocument(data as JsonObject)
const collected = (document: TrackedDocument, patches = 1): void => {
  if (document.takeChanges().patches.length !== patches) throw new Error('other patches than expected')
}

/** `{ deep: { deep: ... { n: 0 } } }` */
function nested(depth: number): any {
  let data: any = { n: 0 }
  for (let level = 1; level < depth; level++) data = { deep: data }
  return data
}

function innermost(data: any): { n: number } {
  while (data.deep) data = data.deep
  return data
}

/** Live bytes of what `make` makes so many times, for each. */
function bytes(times: number, make: (index: number) => unknown): number {
  const heap = (): number => {
    for (let i = 0; i < 4; i++) globalThis.gc?.()
    return process.memoryUsage().heapUsed
  }
  const kept: unknown[] = new Array(times).fill(undefined)
  const before = heap()
  for (let i = 0; i < times; i++) kept[i] = make(i)
  const after = heap()
  sink = kept
  return (after - before) / times
}

const offers = {
  /** One session of that size, in µs per call. */
  costs(size: number, ms: number) {
    const plain = dataOf(size)
    const document = trackedOf(dataOf(size))
    const live = document.view({}) as BenchData
    let n = 0
    const json = JSON.stringify(plain)
    const theirs = JSON.parse(json)
    const rounds = {
      plainRead: () => plain.user.name,
      read: () => live.user.name,
      plainDeepRead: () => plain.cart.items[1]?.quantity,
      deepRead: () => live.cart.items[1]?.quantity,
      plainWrite: () => (plain.cart.total = ++n),
      nothing: () => {
        if (live.user.name === '' || document.mayHaveChanges) throw new Error('modified')
      },
      flush: () => {
        live.cart.total = ++n
        collected(document)
      },
      stringify: () => JSON.stringify(plain),
    }
    const costs = Object.fromEntries(Object.entries(rounds).map(([name, call]) => [name, perCall(ms, call)]))
    // Unflushed writes of one place: the first is recorded, those after it find that it is.
    const write = perCall(ms, () => (live.cart.total = ++n))
    document.takeChanges()
    // Two changes at different places, ours unsaved and theirs in the store.
    const merge = perCall(ms, () => {
      live.cart.total = ++n
      theirs.n = n
      document.rebase(theirs)
      document.takeChanges()
    })
    const parse = perCall(ms, () => JSON.parse(json))
    return { ...(costs as Record<keyof typeof rounds, number>), write, merge, parse }
  },
  /** One write at that depth and its flush, and one read, in µs. */
  depth(depth: number, ms: number) {
    const document = trackedOf(nested(depth))
    const live = document.view({})
    let n = 0
    const read = perCall(ms, () => innermost(live).n)
    const held = innermost(live)
    const flush = perCall(ms, () => {
      held.n = ++n
      collected(document)
    })
    return { read, flush }
  },
  /** One write to an element, or one push and one pop, in an array of that length, with the flush, in µs. */
  list(length: number, ms: number) {
    const list = Array.from({ length }, (_, id) => ({ id, quantity: 1 }))
    const document = trackedOf({ list })
    const live = document.view({}) as { list: typeof list }
    let n = 1
    const middle = Math.floor(length / 2)
    const write = perCall(ms, () => {
      live.list[middle]!.quantity = ++n
      collected(document)
    })
    const push = perCall(ms, () => {
      live.list.push({ id: -1, quantity: 1 })
      collected(document)
      live.list.pop()
      collected(document)
    })
    return { write, push: push / 2 }
  },
  memory() {
    const session = bytes(5000, () => trackedOf(dataOf(1000))) - bytes(5000, () => dataOf(1000))
    const document = trackedOf({ list: Array.from({ length: 20_000 }, (_, id) => ({ id })) })
    const live = document.view({}) as { list: { id: number }[] }
    const node = bytes(20_000, (index) => live.list[index])
    const shared = trackedOf(dataOf(1000))
    const face = bytes(5000, () => {
      const author = {}
      return [author, shared.view(author)]
    })
    return { session, node, face, kept: typeof sink }
  },
}

export type DocumentOffers = typeof offers
serve(() => offers)
