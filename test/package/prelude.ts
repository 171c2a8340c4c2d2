// What a snippet of the pages that imports nothing finds around it: put before it by scripts/snippets.mjs.
import { createServer } from 'node:http'
import cookieParser from 'cookie-parser'
import express from 'express'
import expressSession from 'express-session'
import sharedsession from 'sharedsession'
import { Server } from 'socket.io'
import { io as connect } from 'socket.io-client'

declare module 'express-session' {
  interface SessionData {
    user: { id: number; name: string; roles: string[] }
    cart: { items: { sku: string; price: number }[] }
    count: number
    credit: number
    theme: string
    room: string
    visits: number
  }
}

declare global {
  namespace Express {
    interface User {
      id: number
      name: string
    }
    /** As Passport declares it, for blocks that do not import it. */
    interface Request {
      user?: User | undefined
    }
  }
}

declare const users: {
  verify(name: string, password: string): Promise<Express.User | false>
  find(id: unknown): Promise<Express.User | false>
}
declare const secret: string
declare const sku: string
declare function lookup(sku: string): Promise<number>
const app = express()
const server = createServer(app)
const io = new Server(server)
const store = new expressSession.MemoryStore()
const session = expressSession({ secret, store, resave: false, saveUninitialized: false })
const shared = sharedsession(session, { autoSave: true })
declare const socket: import('socket.io').Socket
declare const request: express.Request
declare const req: express.Request
declare const res: express.Response
