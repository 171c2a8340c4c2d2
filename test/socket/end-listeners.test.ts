import type { RequestHandler } from 'express'
import type { Socket } from 'socket.io'
import { afterEach, describe, expect, it } from 'vitest'
import sharedsession from '../../src/index.js'
import { type AppOptions, closeApps, startApp, type TestClient } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { letIn } from '../support/handshake.js'
import { collect } from '../support/live.js'
import { deferred, next } from '../support/wait.js'

afterEach(closeApps)

/** A visitor whose one connection carries the main namespace and /chat. */
async function onOneConnection(transport: string, options: AppOptions = {}) {
  const app = await startApp({
    store: new ControlledStore(),
    wire(io, shared) {
      io.use(shared)
      io.of('/chat').use(shared)
    },
    ...options,
  })
  const chats: Socket[] = []
  app.io.of('/chat').on('connection', (socket) => chats.push(socket))
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const main = await browser.connect({ transports: [transport] })
  const chat = await letIn(main.io.socket('/chat', {}) as TestClient)
  return { app, browser, clients: { main, chat }, sockets: { main: app.sockets[0]!, chat: chats[0]! } }
}

for (const transport of ['websocket', 'polling']) {
  describe(`on ${transport}, when the session of a connection with several namespaces ends`, () => {
    it('what an async listener of one namespace sends arrives, although the other namespaces have no listener', async () => {
      const { browser, clients, sockets } = await onOneConnection(transport)
      const heard = [collect(clients.main, 'bye'), collect(clients.chat, 'bye')]
      const goOn = deferred()
      sockets.main.on('session:destroyed', async () => {
        await goOn.promise
        sockets.main.emit('bye', 'main')
      })
      sockets.chat.on('session:destroyed', () => {
        sockets.chat.emit('bye', 'chat')
      })
      const gone = [next(clients.main, 'disconnect'), next(clients.chat, 'disconnect')]
      const bye = next(clients.chat, 'bye')
      await browser.get('/destroy')
      await bye
      // A request of somebody else's is longer than a close that waits for nobody.
      await browser.get('/session')
      goOn.resolve()
      expect(await Promise.all(gone)).toEqual(['transport close', 'transport close'])
      expect(heard).toEqual([['main'], ['chat']])
    })

    for (const first of ['main', 'chat'] as const) {
      it(`sockets with onEnd disconnect stay away, although the connection is closed for the others (${first} joins first)`, async () => {
        let session!: RequestHandler
        const { browser, clients, sockets } = await onOneConnection(transport, {
          wrap: (given) => {
            session = given
            return given
          },
          shared: { onEnd: first === 'main' ? 'disconnect' : 'reconnect' },
          wire(io, shared) {
            io.use(shared)
            io.of('/chat').use(sharedsession(session, { autoSave: true, onEnd: first === 'main' ? 'reconnect' : 'disconnect' }))
          },
        })
        const { main, chat } = clients
        const [away, back] = first === 'main' ? [main, chat] : [chat, main]
        sockets[first].on('session:destroyed', () => new Promise(setImmediate))
        const gone = [next(away, 'disconnect'), next(back, 'disconnect')]
        await browser.get('/destroy')
        expect(await Promise.all(gone)).toEqual(['io server disconnect', 'transport close'])
        expect(away.active).toBe(false)
      })
    }
  })

  describe(`on ${transport}, between session:destroyed and the end of the socket`, () => {
    for (const onEnd of ['reconnect', 'disconnect'] as const) {
      it(`with onEnd ${onEnd} no listener gets the events that the client still sends`, async () => {
        const { browser, clients, sockets } = await onOneConnection(transport, { shared: { onEnd } })
        const [told, goOn] = [deferred(), deferred()]
        sockets.main.on('session:destroyed', async () => {
          told.resolve()
          await goOn.promise
        })
        const received: string[] = []
        sockets.main.onAny((name) => received.push(name))
        sockets.main.use(([name], go) => {
          received.push(`middleware: ${name}`)
          go()
        })
        const gone = next(clients.main, 'disconnect')
        const destroyed = browser.get('/destroy')
        await told.promise
        clients.main.emit('get', () => {})
        await next(sockets.main.conn, 'packet', ({ type }: any) => type === 'message')
        goOn.resolve()
        await Promise.all([destroyed, gone])
        expect(received).toEqual([])
      })
    }

    it('no callback gets an ack of the client, not even that of an emit in a listener of session:destroyed', async () => {
      const { browser, clients, sockets } = await onOneConnection(transport)
      const answered = deferred()
      clients.main.on('unsent?', (ack: (text: string) => void) => {
        ack('a draft')
        answered.resolve()
      })
      const answers: unknown[] = []
      sockets.main.on('session:destroyed', async () => {
        sockets.main.emit('unsent?', (answer: unknown) => answers.push(answer))
        await answered.promise
        await next(sockets.main.conn, 'packet', ({ type }: any) => type === 'message')
      })
      const gone = next(clients.main, 'disconnect')
      await browser.get('/destroy')
      await gone
      expect(answers).toEqual([])
    })
  })
}

it('a listener of session:destroyed that never ends delays the end of the socket by a second at most', async () => {
  const { browser, clients, sockets } = await onOneConnection('websocket')
  sockets.main.on('session:destroyed', () => new Promise<void>(() => {}))
  const gone = [next(clients.main, 'disconnect'), next(clients.chat, 'disconnect')]
  await browser.get('/destroy')
  await Promise.all(gone)
}, 4000)
