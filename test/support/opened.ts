import { Manager } from 'socket.io-client'
import type { App, Browser, TestClient } from './app.js'
import { next } from './wait.js'

/** A connection whose handshake was answered, so that its session was read, and whose socket has not come yet. */
export interface Opened {
  manager: Manager
  /** The socket comes. */
  come(namespace?: string): TestClient
}

/** Opens a connection with the browser's cookie. Its client reconnects, with the cookie that the browser has by then. */
export async function opened(app: App, browser: Browser): Promise<Opened> {
  const manager = new Manager(app.url, {
    transports: ['websocket'],
    autoConnect: false,
    reconnectionDelay: 1,
    randomizationFactor: 0,
    extraHeaders: { cookie: browser.cookie ?? '' },
  })
  // Before the server is closed: it would reconnect while `shared` is closed, and the server is not.
  const { close } = app
  app.close = () => {
    // Private in the client's types.
    ;(manager as unknown as { _close(): void })._close()
    return close()
  }
  manager.on('reconnect_attempt', () => {
    manager.opts.extraHeaders = { cookie: browser.cookie ?? '' }
  })
  const open = next(manager as never, 'open')
  manager.connect()
  await open
  return {
    manager,
    come(namespace = '/') {
      const client = manager.socket(namespace, {})
      client.connect()
      return client
    },
  }
}
