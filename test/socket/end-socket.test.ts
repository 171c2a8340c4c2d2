import type { Socket } from 'socket.io'
import { afterEach, describe, expect, it } from 'vitest'
import { type AppOptions, closeApps, startApp } from '../support/app.js'
import { ControlledStore } from '../support/controlled-store.js'
import { letIn, sidOf } from '../support/handshake.js'
import { collect } from '../support/live.js'
import { slowLogin } from '../support/slow-routes.js'
import { deferred, next, until } from '../support/wait.js'

afterEach(closeApps)

/** A visitor with one socket, which is in the room `game`, and a log-in that regenerates and answers when `answer` is called. */
async function start(options: AppOptions = {}) {
  const { regenerated, answer, routes } = slowLogin()
  const app = await startApp({
    store: new ControlledStore(),
    ...options,
    routes,
  })
  const browser = app.browser()
  await browser.get('/set?user=ada')
  const client = await browser.connect({ transports: ['websocket'] })
  const socket = app.sockets[0]!
  await socket.join(['game', 'chat'])
  return { app, browser, client, socket, regenerated, answer }
}

/** Resolves when all that was sent to the client before has arrived. */
async function arrived(socket: Socket, client: any): Promise<void> {
  const mark = next(client, 'mark')
  socket.emit('mark')
  await mark
}

describe('while the sockets of a rotated session wait for its response', () => {
  it('they get no broadcasts to their rooms; those to all, and to the socket itself, they do', async () => {
    const { app, browser, client, socket, regenerated, answer } = await start()
    const heard: string[] = []
    client.onAny((event) => heard.push(event))
    const login = browser.get('/login')
    await regenerated
    app.io.to('game').emit('in the room')
    app.io.in(['game', 'chat']).emit('in both rooms')
    app.io.to(app.shared.room(socket)).emit('in the room of its session')
    app.io.emit('for all')
    app.io.to(socket.id).emit('for itself')
    await arrived(socket, client)
    expect(heard).toEqual(['for all', 'for itself', 'mark'])
    expect(await app.io.in('game').fetchSockets()).toEqual([])
    answer()
    await Promise.all([login, next(client, 'disconnect')])
  })

  it('neither a handler that still runs nor the server can put them into a room', async () => {
    const { app, browser, client, socket, regenerated, answer } = await start()
    const login = browser.get('/login')
    await regenerated
    await socket.join('game')
    app.io.in(socket.id).socketsJoin(['chat'])
    expect([...socket.rooms]).toEqual([socket.id])
    answer()
    await Promise.all([login, next(client, 'disconnect')])
  })

  it('listeners of session:destroyed and disconnecting find the rooms, and can broadcast to them', async () => {
    const { browser, client, socket, regenerated, answer } = await start()
    const seen: unknown[] = []
    const look = (): void => void seen.push(['game', 'chat'].map((room) => socket.rooms.has(room)))
    socket.on('session:destroyed', look)
    socket.on('disconnecting', look)
    const gone = next(socket, 'disconnect')
    const login = browser.get('/login')
    await regenerated
    expect(socket.rooms.has('game')).toBe(false)
    answer()
    await Promise.all([login, gone, next(client, 'disconnect')])
    expect(seen).toEqual([
      [true, true],
      [true, true],
    ])
    expect([...socket.rooms]).toEqual([])
  })

  it('they stay in their rooms with onEnd keep', async () => {
    const { app, browser, client, socket, regenerated, answer } = await start({ shared: { onEnd: 'keep' } })
    const heard = next(client, 'in the room')
    const login = browser.get('/login')
    await regenerated
    app.io.to('game').emit('in the room')
    await heard
    expect(socket.rooms.has('chat')).toBe(true)
    answer()
    await login
  })

  it('a socket that is still connecting leaves its rooms too, and joins none when it connects', async () => {
    const [held, goOn] = [deferred<Socket>(), deferred()]
    const { app, browser, regenerated, answer } = await start({
      wire(io, shared) {
        io.use(shared)
        io.use(async (socket, done) => {
          if (socket.handshake.query.late === undefined) return done()
          await socket.join('game')
          held.resolve(socket)
          await goOn.promise
          done()
        })
      },
      connection(socket) {
        socket.join('chat')
      },
    })
    const client = browser.open({ query: { late: '' } })
    const socket = await held.promise
    const login = browser.get('/login')
    await regenerated
    const heard: string[] = []
    client.onAny((event) => heard.push(event))
    goOn.resolve()
    await letIn(client)
    app.io.to(['game', 'chat']).emit('in a room')
    await arrived(socket, client)
    expect(heard).toEqual(['mark'])
    answer()
    await Promise.all([login, next(client, 'disconnect')])
  })

  it('connection state recovery keeps neither their rooms nor their session', async () => {
    const { app, browser, client, socket, regenerated, answer } = await start({
      io: { connectionStateRecovery: { maxDisconnectionDuration: 60_000 } },
    })
    const kept = deferred<any>()
    const { adapter } = app.io.of('/')
    const { persistSession } = adapter
    adapter.persistSession = (session) => {
      kept.resolve(session)
      persistSession.call(adapter, session)
    }
    const login = browser.get('/login')
    await regenerated
    client.io.engine.close()
    expect((await kept.promise).rooms).toEqual([socket.id])
    answer()
    await login
  })

  it('they stay out of rooms after shared.close(), until the connection ends', async () => {
    const { app, browser, client, socket, regenerated, answer } = await start()
    const heard: string[] = []
    socket.onAny((event) => heard.push(event))
    const login = browser.get('/login')
    await regenerated
    await app.shared.close()
    client.emit('get', () => {})
    await next(socket.conn, 'packet', ({ type }: any) => type === 'message')
    await socket.join('game')
    expect([heard, [...socket.rooms]]).toEqual([[], [socket.id]])
    answer()
    await Promise.all([login, next(client, 'disconnect')])
  })
})

/** Ways in which a server asks a client, and hears its answer. */
const questions: Record<string, (ctx: Awaited<ReturnType<typeof start>>, answered: (answer: unknown) => void) => void> = {
  'an event with a callback': ({ socket }, answered) => socket.emit('question', answered),
  'emitWithAck()': ({ socket }, answered) => void socket.emitWithAck('question').then(answered),
  'a broadcast to a room': ({ app }, answered) =>
    app.io
      .to('game')
      .timeout(60_000)
      .emit('question', (error: unknown, answers: unknown) => answered(error ?? answers)),
}

describe('when the session of a socket has ended', () => {
  for (const [how, ask] of Object.entries(questions)) {
    it(`the client’s ack to ${how} reaches no callback`, async () => {
      const ctx = await start()
      const { browser, client, socket, regenerated, answer } = ctx
      const asked = deferred<(answer: string) => void>()
      client.on('question', (reply) => asked.resolve(reply))
      const answers: unknown[] = []
      ask(ctx, (given) => answers.push(given))
      const reply = await asked.promise
      const login = browser.get('/login')
      await regenerated
      reply('yes')
      await next(socket.conn, 'packet', ({ type }: any) => type === 'message')
      answer()
      await Promise.all([login, next(client, 'disconnect')])
      expect(answers).toEqual([])
    })

    it(`with onEnd keep, the client’s ack to ${how} reaches its callback`, async () => {
      const ctx = await start({ shared: { onEnd: 'keep' } })
      const { browser, client, regenerated, answer } = ctx
      const asked = deferred<(answer: string) => void>()
      client.on('question', (reply) => asked.resolve(reply))
      const answers: unknown[] = []
      ask(ctx, (given) => answers.push(given))
      const reply = await asked.promise
      const login = browser.get('/login')
      await regenerated
      reply('yes')
      await until(() => answers.length > 0)
      expect([answers].flat(2)).toEqual(['yes'])
      answer()
      await login
    })
  }

  it('the acks of another session in the same room reach their callback', async () => {
    const ctx = await start()
    const other = ctx.app.browser()
    await other.get('/set?user=eve')
    const client = await other.connect()
    const socket = ctx.app.sockets[1]!
    await socket.join('game')
    client.on('question', (reply) => reply('eve'))
    const login = ctx.browser.get('/login')
    await ctx.regenerated
    expect(await ctx.app.io.to('game').timeout(4000).emitWithAck('question')).toEqual(['eve'])
    const left = collect(client, 'in the room')
    ctx.app.io.to('game').emit('in the room')
    await arrived(socket, client)
    expect(left).toHaveLength(1)
    ctx.answer()
    await login
    expect(sidOf(ctx.browser)).not.toBe(sidOf(other))
  })
})
