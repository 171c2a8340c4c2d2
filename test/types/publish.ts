import cookieParser from 'cookie-parser'
import type { Request, Response } from 'express'
import expressSession from 'express-session'
import type { Socket } from 'socket.io'
import sharedsession, {
  type JsonOf,
  type PublishedState,
  type SharedSession,
  type SharedSessionOptions,
} from '../../src/index.js'
import { same } from './application.js'

const session = expressSession({ secret: 'not so secret' })
declare const request: Request
declare const response: Response
declare const socket: Socket

// What a function returns, as JSON.
const shared = sharedsession(session, {
  autoSave: true,
  publish: (session) => ({
    user: session.user?.name,
    items: session.cart?.items ?? [],
    at: new Date(),
    role: 'admin' as 'admin' | 'guest',
    only: undefined,
    call: () => 1,
  }),
})
export type Published = typeof shared.Published
same<Published, { user?: string; items: { sku: string; price: number }[]; at: string; role: 'admin' | 'guest' }>()
same<ReturnType<typeof shared.published>, PublishedState<Published>>()
shared.published(request).state.items[0]?.price.toFixed()
shared.published(request).tag.length
shared.published(socket)
// @ts-expect-error not published
shared.published(request).state.cart
// @ts-expect-error a Date is a string
shared.published(request).state.at.getTime()

// With a cookie parser, and with the socket.
const perSocket = sharedsession(session, cookieParser(), {
  publish: (session, socket) => ({ total: session.cart?.items.length ?? 0, id: socket.id }),
})
same<typeof perSocket.Published, { total: number; id: string }>()

// Paths follow the application's SessionData.
const picked = sharedsession(session, { publish: ['user.name', 'cart'] })
same<typeof picked.Published, { user?: { name: string }; cart?: { items: { sku: string; price: number }[] } }>()
const list = sharedsession(session, { publish: ['cart.items', 'user.id', 'user.name'] })
same<typeof list.Published, { cart?: { items: { sku: string; price: number }[] }; user?: { id: number; name: string } }>()
// @ts-expect-error no such key
sharedsession(session, { publish: ['basket'] })
// @ts-expect-error no such key of the user
sharedsession(session, { publish: ['user.email'] })
// @ts-expect-error express-session's
sharedsession(session, { publish: ['cookie'] })
// @ts-expect-error no such key
sharedsession(session, { publish: (session) => ({ basket: session.basket }) })
// @ts-expect-error not synchronous
sharedsession(session, { publish: async () => ({}) })
// @ts-expect-error no object
sharedsession(session, { publish: () => 1 })
// @ts-expect-error a number
sharedsession(session, { publish: () => ({}), publishMaxBytes: '1 kB' })

// Without the option nothing is published.
const silent = sharedsession(session)
same<typeof silent.Published, unknown>()
sharedsession(session, { autoSave: true })

// Wherever an instance of any kind will do.
const any: SharedSession = shared
const options: SharedSessionOptions = { publish: (session) => ({ user: session.user }) }
const other: SharedSession = sharedsession(session, options)

// A handler of Express, of plain requests, with and without next.
const handler = shared.renewal()
handler(request, response)
handler(request, response, (error) => error)

// JSON of anything.
same<JsonOf<Date>, string>()
same<
  JsonOf<{ a?: number; b: Date | undefined; c: (() => void) | null; d: unknown }>,
  { d: unknown; a?: number; b?: string; c?: null }
>()
same<JsonOf<(string | undefined)[]>, (string | null)[]>()
same<JsonOf<readonly [1, Date]>, [1, string]>()
interface Tree {
  value: Date
  below: Tree[]
}
const tree = {} as JsonOf<Tree>
tree.below[0]?.below[0]?.value.toUpperCase()
