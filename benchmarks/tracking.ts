// What tracking costs, as ratios: npm run bench [-- --quick]

import type { JsonObject } from '../src/tracking/json.js'
import { Ledger } from '../src/tracking/ledger.js'
import { perCall, table } from './measure.js'

/** A session of about that many bytes of JSON. */
function sessionOf(bytes: number): JsonObject {
  const items = Array.from({ length: Math.ceil(bytes / 50) }, (_, id) => ({ id, sku: `article-${id}`, quantity: 1 }))
  return { user: { name: 'ada' }, cart: { items, total: 0 } }
}

type Cart = { cart: { total: number; items: { quantity: number }[] }; user: { name: string } }

const rows: string[][] = []
for (const [name, bytes] of [
  ['1 kB', 1_000],
  ['100 kB', 100_000],
  ['1 MB', 1_000_000],
] as const) {
  const ledger = new Ledger(sessionOf(bytes))
  const live = ledger.face({}) as Cart
  const data = sessionOf(bytes)
  const unmodified = perCall(() => {
    if (live.user.name === '' || ledger.dirty) throw new Error('modified')
  })
  let count = 0
  const write = perCall(() => {
    live.cart.total = ++count
    if (ledger.collect().patches.length !== 1) throw new Error('one patch expected')
  })
  const read = perCall(() => live.cart.items[1]?.quantity)
  const plain = perCall(() => (data as unknown as Cart).cart.items[1]?.quantity)
  const once = perCall(() => JSON.stringify(data))
  rows.push([name, ratio((2 * once) / unmodified), ratio(once / write), ratio(read / plain)])
}

table(
  [
    'session',
    'JSON before and after an event / an event that changes nothing',
    'one JSON.stringify / one write and its patches',
    'a read at depth 4 / the same on plain objects',
  ],
  rows,
)

function ratio(value: number): string {
  return value >= 10 ? `x${Math.round(value)}` : `x${value.toFixed(1)}`
}
