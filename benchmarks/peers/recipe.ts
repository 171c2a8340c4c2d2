import type { Session } from 'express-session'
import type { BenchData } from '../session.js'
import type { Install } from './peer.js'

type Held = Session & BenchData

/** Socket.IO's own recipe: the middleware on the engine, a reload before each packet, `save()` in each handler that writes. */
export const recipe: Install = (io, session) => {
  io.engine.use(session)
  io.on('connection', (socket) => {
    const request = socket.request as unknown as { session: Held }
    socket.use((_event, next) => {
      request.session.reload((error) => {
        if (error) socket.disconnect()
        else next()
      })
    })
  })
  return {
    session: (socket) => () => (socket.request as unknown as { session: Held }).session,
    changed: (session, ack) => void (session() as Held).save(() => ack()),
  }
}
