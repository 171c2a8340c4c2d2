import { createHmac } from 'node:crypto'

export const SECRET = 'benchmark'

/** The data of every measured session. */
export interface BenchData {
  user: { name: string }
  cart: { items: { id: number; sku: string; quantity: number }[]; total: number }
  [key: string]: unknown
}

export const SIZES = { '1 kB': 1_000, '10 kB': 10_000, '100 kB': 100_000, '1 MB': 1_000_000 } as const
export type Size = keyof typeof SIZES

/** Data of about that many bytes of JSON. */
export function dataOf(bytes: number): BenchData {
  const items: BenchData['cart']['items'] = []
  for (let length = 60; length < bytes; ) {
    const item = { id: items.length, sku: `article-${items.length}`, quantity: 1 }
    items.push(item)
    length += JSON.stringify(item).length + 1
  }
  return { user: { name: 'ada' }, cart: { items, total: 0 }, n: 0 }
}

/** As a store holds it. */
export function storedOf(bytes: number): BenchData & { cookie: object } {
  return { cookie: { originalMaxAge: null, expires: null, httpOnly: true, path: '/' }, ...dataOf(bytes) }
}

/** What express-session calls the session that the cookie names. */
export function cookieOf(sid: string): string {
  const signature = createHmac('sha256', SECRET).update(sid).digest('base64').replace(/=+$/, '')
  return `connect.sid=${encodeURIComponent(`s:${sid}.${signature}`)}`
}

/** Ids of sessions that belong together. */
export function sidsOf(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`)
}
