// A process in which nothing but the package itself could keep Node alive: run by test/session/flush.test.ts.
import { startApp } from './app.js'
import { ControlledStore } from './controlled-store.js'
import { next } from './wait.js'

/** Answers by a timer that holds no process open, as a store does whose connection is unref'd. */
class IdleStore extends ControlledStore {
  override set(sid: string, session: any, callback?: (error?: any) => void): void {
    setTimeout(() => super.set(sid, session, callback), 50).unref()
  }
}

const store = new IdleStore()
const app = await startApp({ store })
const browser = app.browser()
await browser.get('/set?user=ada')
const client = await browser.connect()
const socket = app.sockets[0]!
const session = app.shared.session(socket) as Record<string, any>
const gone = next(socket, 'disconnect')
client.disconnect()
await gone
app.server.closeAllConnections()
await app.io.close()
session.n = 1
await app.shared.flush()
console.log('flushed', store.stored(socket.handshake.sessionID)?.n)
session.n = 2
await app.shared.close()
console.log('closed', store.stored(socket.handshake.sessionID)?.n)
