import cookieParser from 'cookie-parser'
import type express from 'express'
import type { RequestHandler } from 'express'
import expressSession from 'express-session'
import type { Server, Socket } from 'socket.io'
import sharedsession, {
  sharedsession as named,
  type SharedSession,
  type SharedSessionOptions,
  type SocketIoSharedSessionMiddleware,
  type Stats,
} from '../../src/index.js'
import { same } from './application.js'

const session = expressSession({ secret: 'not so secret' })

// The calls of the superseded package.
const shared: SharedSession = sharedsession(session)
sharedsession(session, { autoSave: true })
sharedsession(session, cookieParser('not so secret'), { autoSave: true })
sharedsession(session, cookieParser())
named(session, {})

// The names of the superseded package's types.
const options: SharedSessionOptions = { autoSave: true, saveUninitialized: true }
const middleware: SocketIoSharedSessionMiddleware = sharedsession(session, options)
declare const io: Server
declare const socket: Socket
io.use(middleware)
middleware(socket, (error?: any) => error)
same<SocketIoSharedSessionMiddleware, SharedSession>()

// A wrapped middleware, typed or not.
const wrapped: RequestHandler = (request, response, next) =>
  request.path === '/health' ? next() : session(request, response, next)
sharedsession(wrapped)
sharedsession((request: express.Request, response: express.Response, next: express.NextFunction) =>
  session(request, response, next),
)
sharedsession((request, response, next) => {
  session(request, response, next)
})
sharedsession(async (request, response, next) => {
  await null
  session(request, response, next)
})

// @ts-expect-error a session middleware is needed
sharedsession()
// @ts-expect-error not a middleware
sharedsession('secret')
// @ts-expect-error options of express-session are no middleware
sharedsession({ secret: 'not so secret' })
// @ts-expect-error no such option
sharedsession(session, { autosave: true })
// @ts-expect-error a boolean is expected
sharedsession(session, { autoSave: 'yes' })
// @ts-expect-error no such action
sharedsession(session, { onEnd: 'explode' })
// @ts-expect-error no such reason
sharedsession(session, { onEnd: { deleted: 'keep' } })
// @ts-expect-error the options are not the session
sharedsession({ autoSave: true }, session)
sharedsession(session, {
  onEnd: { destroyed: 'keep', expired: 'disconnect' },
  touch: 1000,
  revalidate: false,
  allowedOrigins: [/x/, '*'],
  merge: { count: 'sum', user: 'whole', 'a.*': 'last', tags: (_base, mine, theirs) => [...mine, ...theirs] },
})
sharedsession(session, { merge: false })
// @ts-expect-error no such strategy
sharedsession(session, { merge: { count: 'max' } })
// @ts-expect-error merging is on by default, and takes strategies
sharedsession(session, { merge: true })

// Keys of one connection are those that the application has declared.
sharedsession(session, { perSocket: ['user', 'cart'], room: false })
// @ts-expect-error not declared
sharedsession(session, { perSocket: ['basket'] })
// @ts-expect-error express-session's
sharedsession(session, { perSocket: ['cookie'] })

same<Stats['driver'], string>()
same<Stats['bus'], 'redis' | 'postgres' | 'mongodb' | 'adapter' | 'own' | false>()
same<Stats['severalProcesses'], boolean>()

export { shared }
