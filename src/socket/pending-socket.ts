import type { Socket } from 'socket.io'
import { isSessionRoom } from './room.js'

interface Emitter {
  on(event: string, listener: (...args: unknown[]) => void): unknown
  off(event: string, listener: (...args: unknown[]) => void): unknown
}

/**
 * Watches a socket that is not connected yet. One that another middleware refuses, or whose client leaves before it was let in, never
 * emits 'disconnect': it leaves its rooms, or its connection closes.
 * @param gone is called when it is no more
 * @param connected is called when it is let in
 * @returns stops watching
 */
export function watchPendingSocket({ id, nsp, conn }: Socket, gone: () => void, connected: () => void): () => void {
  const stops = [
    rooms.watch(nsp.adapter, id, gone),
    connections.watch(conn as unknown as Emitter, id, gone),
    namespaces.watch(nsp as unknown as Emitter, id, connected),
  ]
  return () => {
    for (const stop of stops) stop()
  }
}

/** One listener per emitter, however many sockets wait there: emitters warn of a leak from the eleventh listener on. */
class SharedListener {
  readonly #waiting = new WeakMap<Emitter, { handlers: Map<string, () => void>; stop(): void }>()
  readonly #event: string
  readonly #about: (args: unknown[]) => unknown

  /** @param about the id of the socket that an event is about; `undefined` for all of them */
  constructor(event: string, about: (args: unknown[]) => unknown) {
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
    const listener = (...args: unknown[]): void => {
      const id = this.#about(args)
      const affected = id === undefined ? [...handlers.values()] : [handlers.get(id as string)]
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

// Before it is let in it has joined its session's room, or, without those, the one of its own that it gets anyway.
const rooms = new SharedListener('leave-room', ([room, id]) => (isSessionRoom(room) || room === id ? id : ''))
const connections = new SharedListener('close', () => undefined)
const namespaces = new SharedListener('connect', ([socket]) => (socket as Socket).id)
