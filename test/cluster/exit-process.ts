// Ends by itself when its server and its clients are closed, although nobody has called shared.close().
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import MongoStore from 'connect-mongo'
import MongoStore4 from 'connect-mongo4'
import connectPgSimple from 'connect-pg-simple'
import { RedisStore } from 'connect-redis'
import { RedisStore as RedisStore8 } from 'connect-redis8'
import express from 'express'
import expressSession from 'express-session'
import { Redis } from 'ioredis'
import { MongoClient } from 'mongodb'
import { MongoClient as MongoClient4 } from 'mongodb4'
import { MongoClient as MongoClient7 } from 'mongodb7'
import pg from 'pg'
import { createClient } from 'redis'
import { Server } from 'socket.io'
import { io as connect } from 'socket.io-client'
import sharedsession, { postgresBus } from '../../src/index.js'

// The types of several versions of the clients are no types of one another.
const MONGO: Record<'mongodb4' | 'mongodb6' | 'mongodb7', [any, any]> = {
  mongodb4: [MongoStore4, MongoClient4],
  mongodb6: [MongoStore, MongoClient],
  mongodb7: [MongoStore, MongoClient7],
}

const [kind, url] = process.argv.slice(2) as ['node-redis' | 'ioredis' | 'postgres' | keyof typeof MONGO, string]

async function open() {
  if (kind === 'node-redis') {
    const client = await createClient({ url }).connect()
    return { store: new RedisStore({ client }), options: {}, end: () => client.destroy() }
  }
  if (kind === 'ioredis') {
    const client = new Redis(url)
    return { store: new RedisStore8({ client }), options: { redis: client }, end: () => client.disconnect() }
  }
  if (kind !== 'postgres') {
    const [Store, Client] = MONGO[kind]
    const client = await Client.connect(url)
    return { store: Store.create({ client }), options: {}, end: () => client.close() }
  }
  const pool = new pg.Pool({ connectionString: url })
  await pool.query(
    'CREATE TABLE IF NOT EXISTS session (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)',
  )
  const store = new (connectPgSimple(expressSession))({ pool, pruneSessionInterval: false })
  return { store, options: { bus: postgresBus({ pool }) }, end: () => pool.end() }
}

const { store, options, end } = await open()
const session = expressSession({ secret: 'secret', store, resave: false, saveUninitialized: false })
const shared = sharedsession(session, { autoSave: true, ...options })
const app = express()
app.use(session)
app.get('/', (req, res) => {
  Object.assign(req.session, { user: 'ada' })
  res.end()
})
const server = createServer(app)
const io = new Server(server)
io.use(shared)
server.listen(0, '127.0.0.1', async () => {
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const response = await fetch(address, { headers: { connection: 'close' } })
  const cookie = response.headers.getSetCookie()[0]!.split(';')[0]!
  connect(address, { extraHeaders: { cookie }, transports: ['websocket'], reconnection: false })
  // The session is subscribed to before its socket connects.
  while (shared.stats().sockets === 0 || !shared.stats().bus) await new Promise((resolve) => setImmediate(resolve))
  await io.close()
  await end()
})
