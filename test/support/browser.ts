import { type Socket as Client, io as connect, type ManagerOptions, type SocketOptions } from 'socket.io-client'
import { afterResponse } from './cookies.js'

export type Transports = ('polling' | 'websocket')[]

/** How a client may connect, for `describe.each`. */
export const TRANSPORTS: [string, Transports][] = [
  ['the default transports', ['polling', 'websocket']],
  ['polling only', ['polling']],
  ['WebSocket only', ['websocket']],
]

const clients = new Set<Client>()

/** For `afterEach`. */
export function closePages(): void {
  for (const client of clients) client.disconnect()
  clients.clear()
}

/**
 * What a browser does with cookies, in Node: requests, polls and upgrades send what it has at that moment, and each response changes that.
 * It may be held back from keeping a response's cookies, so that responses arrive in any order.
 */
export class CookieBrowser {
  /** As it is sent. */
  cookie: string | undefined
  /** Blocks all cookies. */
  blocks = false
  /** How often sockets have connected. */
  connections = 0

  constructor(cookie?: string) {
    this.cookie = cookie
  }

  keep(lines: string[]): void {
    if (!this.blocks) this.cookie = afterResponse(this.cookie, lines)
  }

  /** @param arrives the response's cookies are kept when it has resolved */
  async fetch(url: string, { arrives, ...init }: RequestInit & { arrives?: Promise<unknown> } = {}): Promise<Response> {
    const response = await fetch(url, { ...init, headers: { ...init.headers, ...(this.cookie && { cookie: this.cookie }) } })
    await arrives
    this.keep(response.headers.getSetCookie())
    // express-session holds back the end of a response until its session is saved.
    await response.clone().text()
    return response
  }

  async json(url: string, init?: RequestInit): Promise<any> {
    return (await this.fetch(url, init)).json()
  }

  /** A tab's socket, which reconnects as one in a browser does, only faster. With `autoConnect: false` it is not connected yet. */
  open(url: string, options: Partial<ManagerOptions & SocketOptions> = {}): Client {
    const browser = this
    const client = connect(url, {
      forceNew: true,
      autoConnect: false,
      withCredentials: true,
      reconnectionDelay: 10,
      randomizationFactor: 0,
      ...options,
      extraHeaders: {
        get cookie() {
          return browser.cookie ?? ''
        },
        // The client adds those of its own jar, which has none.
        set cookie(_value: string) {},
      },
    })
    const manager = client.io as any
    const { open } = manager
    manager.open = manager.connect = (...args: unknown[]) => {
      const result = open.apply(manager, args)
      if (manager.engine !== manager.followed) browser.#follow(manager.engine)
      manager.followed = manager.engine
      return result
    }
    client.on('connect', () => {
      this.connections++
    })
    clients.add(client)
    if (options.autoConnect !== false) client.connect()
    return client
  }

  /** Takes the place of the client's own cookie jar, which is one for each connection. */
  #follow(engine: any): void {
    const jar = engine._cookieJar
    jar.parseCookies = (lines: string[] | undefined) => this.keep(lines ?? [])
    jar.addCookies = () => undefined
    Object.defineProperty(jar, 'cookies', { get: () => [] })
    const upgrade = ({ ws }: any): void => void ws?.once('upgrade', ({ headers }: any) => this.keep(headers['set-cookie'] ?? []))
    upgrade(engine.transport)
    const { createTransport } = engine
    engine.createTransport = (name: string) => {
      const transport = createTransport.call(engine, name)
      const { doOpen } = transport
      transport.doOpen = () => {
        doOpen.call(transport)
        upgrade(transport)
      }
      return transport
    }
  }
}
