import { Server } from 'socket.io'
import { afterEach, describe, expect, it } from 'vitest'
import { type App, closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { deferred } from '../support/wait.js'

const ends: (() => unknown)[] = []

afterEach(async () => {
  for (const end of ends.splice(0)) await end()
  await closeApps()
})

/** What uWebSockets.js, which is no npm package, shows Engine.IO of a request. Its response may not be used when its client has left. */
class UwsExchange {
  readonly answered = deferred()
  /** The members of the response that were used although its client had left. */
  readonly misused: string[] = []
  readonly request: unknown
  readonly response: any
  #hasLeft = false
  #onAborted: () => void = () => undefined

  constructor(cookie: string, transport: string) {
    this.request = {
      getMethod: () => 'get',
      getUrl: () => '/socket.io/',
      getQuery: () => `EIO=4&transport=${transport}`,
      getHeader: (name: string) => (name === 'cookie' ? cookie : ''),
      forEach: (call: (key: string, value: string) => void) => call('cookie', cookie),
    }
    const response = {
      getRemoteAddressAsText: () => new TextEncoder().encode('127.0.0.1').buffer,
      onAborted: (listener: () => void) => {
        this.#onAborted = listener
      },
      cork: (call: () => void) => call(),
      writeStatus: () => response,
      writeHeader: () => response,
      end: () => this.answered.resolve(),
      upgrade: ({ transport: connected }: any) => {
        connected.socket = { send: () => undefined, end: () => undefined }
        this.answered.resolve()
      },
    }
    this.response = new Proxy(response, {
      get: (target, name: keyof typeof response) => {
        if (this.#hasLeft) {
          this.misused.push(name)
          throw new Error('uWS.HttpResponse must not be accessed after its client has left.')
        }
        return target[name]
      },
    })
  }

  leave(): void {
    this.#onAborted()
    this.#hasLeft = true
  }
}

/** A server on uWebSockets.js, and the cookie of a stored session. */
async function started() {
  const store = new ControlledStore()
  const app: App = await startApp({ store })
  const io = new Server({ serveClient: false, transports: ['polling', 'websocket'] })
  type Handler = (response: unknown, request: unknown, context?: unknown) => void
  const handlers: Record<string, Handler> = {}
  io.attachApp({
    any: (_path: string, handler: Handler) => {
      handlers.polling = handler
      return {
        ws(_path: string, { upgrade }: { upgrade: Handler }) {
          handlers.websocket = upgrade
        },
      }
    },
  } as never)
  app.shared.attach(io)
  ends.push(() => void io.engine.close())
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const come = (transport: string): UwsExchange => {
    const exchange = new UwsExchange(browser.cookie as string, transport)
    handlers[transport]?.(exchange.response, exchange.request)
    return exchange
  }
  return { store, come }
}

describe.each(['polling', 'websocket'])('a handshake by %s at a server on uWebSockets.js', (transport) => {
  it('is not answered where its client leaves before its session was read', async () => {
    const { store, come } = await started()
    const get = store.hold('get')
    const first = come(transport)
    await get.called
    first.leave()
    get.release()
    await come(transport).answered.promise
    expect(first.misused).toEqual([])
  })
})
