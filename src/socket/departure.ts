import type { Socket } from 'socket.io'
import { isSessionRoom } from './room.js'

interface Emitter {
  on(event: string, listener: (...args: string[]) => void): unknown
  off(event: string, listener: (...args: string[]) => void): unknown
}

/**
 * Calls `gone` when a socket is no more. One that another middleware refuses, or whose client leaves before it was let in, never
 * emits 'disconnect': it leaves its rooms, or its connection closes.
 * @returns stops watching
 */
export function watchDeparture(socket: Socket, gone: () => void): () => void {
  const refused = (): void => {
    if (!socket.connected) gone()
  }
  const unwatch = [
    rooms.watch(socket.nsp.adapter, socket.id, refused),
    connections.watch(socket.conn as unknown as Emitter, socket.id, gone),
  ]
  socket.on('disconnect', gone)
  return () => {
    socket.off('disconnect', gone)
    for (const stop of unwatch) stop()
  }
}

/** One listener per emitter, however many sockets wait there: emitters warn of a leak from the eleventh listener on. */
class SharedListener {
  readonly #waiting = new WeakMap<Emitter, { handlers: Map<string, () => void>; stop(): void }>()
  readonly #event: string
  readonly #about: (args: string[]) => string | undefined

  /** @param about the id of the socket that an event is about; `undefined` for all of them */
  constructor(event: string, about: (args: string[]) => string | undefined) {
    this.#event = event
    this.#about = about
  }

  watch(emitter: Emitter, id: string, handler: () => void): () => void {
    const waiting = this.#waiting.get(emitter) ?? this.#listen(emitter)
    waiting.handlers.set(id, handler)
    return () => {
      waiting.handlers.delete(id)
      if (waiting.handlers.size === 0) waiting.stop()
    }
  }

  #listen(emitter: Emitter): { handlers: Map<string, () => void>; stop(): void } {
    const handlers = new Map<string, () => void>()
    const listener = (...args: string[]): void => {
      const id = this.#about(args)
      const affected = id === undefined ? [...handlers.values()] : [handlers.get(id)]
      for (const handler of affected) handler?.()
    }
    const stop = (): void => {
      this.#waiting.delete(emitter)
      emitter.off(this.#event, listener)
    }
    const waiting = { handlers, stop }
    this.#waiting.set(emitter, waiting)
    emitter.on(this.#event, listener)
    return waiting
  }
}

const rooms = new SharedListener('leave-room', ([room, id]) => (isSessionRoom(room) ? id : ''))
const connections = new SharedListener('close', () => undefined)
