import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import express from 'express'
import expressSession from 'express-session'
import sharedsession from 'sharedsession'
import { Server } from 'socket.io'

declare module 'express-session' {
  interface SessionData {
    user: { name: string; since: number }
    tasks: { id: string; text: string; done: boolean }[]
  }
}

/** So many tasks a guest may have. The page does not know: it shows what is refused, and takes it back. */
const GUEST_TASKS = 3
const PAGE = fileURLToPath(new URL('dist', import.meta.url))

const secret = process.env.SESSION_SECRET ?? 'only for development'
const session = expressSession({ secret, resave: false, saveUninitialized: false, cookie: { sameSite: 'lax' } })
const shared = sharedsession(session, {
  autoSave: true,
  // The page gets this and nothing else of the session.
  publish: ({ user, tasks }) => ({ user: user?.name, tasks: tasks ?? [] }),
})
export type Published = typeof shared.Published

/* HTTP: who logs in and out. */

const app = express()
app.use(express.static(PAGE), express.json({ limit: '4kb' }), session)
app.post('/session', shared.renewal())

app.post('/login', (req, res, next) => {
  const name = textOf(req.body?.name, 40)
  if (!name) return void res.status(400).json({ error: 'A name is needed.' })
  const { tasks } = req.session
  // A new id for a new privilege. The sockets of the old session end, and come back with the new cookie.
  req.session.regenerate((error) => {
    if (error) return next(error)
    Object.assign(req.session, { user: { name, since: Date.now() }, tasks })
    res.sendStatus(204)
  })
})

app.post('/logout', (req, res, next) => {
  req.session.regenerate((error) => (error ? next(error) : res.sendStatus(204)))
})

/* Sockets: what becomes of the tasks. */

const server = createServer(app)
const io = shared.attach(new Server(server))

io.on('connection', (socket) => {
  const live = shared.session(socket)

  // Plain assignments. The ack leaves when they are saved and every tab has been told.
  handle('task:add', (id, text) => {
    live.tasks ??= []
    if (!live.user && live.tasks.length >= GUEST_TASKS) return `A guest may have ${GUEST_TASKS} tasks. Log in for more.`
    live.tasks.push({ id: textOf(id, 40), text: textOf(text, 80), done: false })
  })

  handle('task:done', (id, done) => {
    const task = live.tasks?.find((one) => one.id === id)
    if (task) task.done = Boolean(done)
  })

  handle('task:remove', (id) => {
    const index = live.tasks?.findIndex((one) => one.id === id) ?? -1
    if (index >= 0) live.tasks?.splice(index, 1)
  })

  /** A client may send anything, also nothing to acknowledge with. What `change` returns is why it did nothing. */
  function handle(event: string, change: (...args: unknown[]) => string | undefined | void): void {
    socket.on(event, (...args) => {
      const ack = args.pop()
      if (typeof ack === 'function') ack({ error: change(...args) })
    })
  }
})

function textOf(value: unknown, length: number): string {
  return typeof value === 'string' ? value.trim().slice(0, length) : ''
}

server.listen(Number(process.env.PORT ?? 3000), () => {
  const address = server.address()
  console.log(`The tasks are at http://localhost:${typeof address === 'object' ? address?.port : address}`)
})

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, async () => {
    try {
      const closed = new Promise((resolve) => io.close(resolve))
      // Answers under way may finish; connections that are merely kept open are not waited for.
      setTimeout(() => server.closeAllConnections(), 1000).unref()
      await closed
      await shared.close()
    } catch (error) {
      console.error('Not everything was saved:', error)
      process.exitCode = 1
    }
  })
}
