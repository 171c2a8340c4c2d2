import type { Socket } from 'socket.io'
import { getOrInsert } from '../util/maps.js'
import { isSessionRoom } from './room.js'

interface Emitter {
  on(event: string, listener: (...args: unknown[]) => void): unknown
  off(event: string, listener: (...args: unknown[]) => void): unknown
}

/**
 * Watches a socket that is not connected yet. A socket never emits 'disconnect' if another middleware refuses it, or if its client leaves
 * before it is connected: then it leaves its rooms, or its connection closes.
 * @returns stops watching
 */
export function watchPendingSocket({ id, nsp, conn }: Socket, onGone: () => void, onConnected: () => void): () => void {
  const stops = [
    roomLeft.watch(nsp.adapter, id, onGone),
    connectionClosed.watch(conn as unknown as Emitter, id, onGone),
    socketConnected.watch(nsp as unknown as Emitter, id, onConnected),
  ]
  return () => {
    for (const stop of stops) stop()
  }
}

type Handlers = Set<() => void>

/** What to call for each socket that waits, by its id: for one with the sessions of two stores, two functions. */
interface SocketHandlers {
  handlers: Map<string, Handlers>
  stop(): void
}

/** One listener per emitter for all sockets that wait: an emitter warns of a leak from the eleventh listener on. */
class SocketWatch {
  readonly #waiting = new WeakMap<Emitter, SocketHandlers>()
  readonly #event: string
  readonly #socketId: (args: unknown[]) => unknown

  /** @param socketId the id of the socket that an event is about; `undefined` for all sockets */
  constructor(event: string, socketId: (args: unknown[]) => unknown) {
    this.#event = event
    this.#socketId = socketId
  }

  watch(emitter: Emitter, id: string, handler: () => void): () => void {
    const waiting = this.#waiting.get(emitter) ?? this.#listen(emitter)
    const ofSocket = getOrInsert<string, Handlers>(waiting.handlers, id, () => new Set())
    ofSocket.add(handler)
    return () => {
      ofSocket.delete(handler)
      if (ofSocket.size === 0) waiting.handlers.delete(id)
      if (waiting.handlers.size === 0) waiting.stop()
    }
  }

  #listen(emitter: Emitter): SocketHandlers {
    const handlers = new Map<string, Handlers>()
    const listener = (...args: unknown[]): void => {
      const id = this.#socketId(args)
      const affected = id === undefined ? [...handlers.values()] : [handlers.get(id as string) ?? []]
      // Each stops watching meanwhile.
      for (const handler of affected.flatMap((each) => [...each])) handler()
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

// Before it is connected it has joined its session's room, or its own with the option `room: false`.
const roomLeft = new SocketWatch('leave-room', ([room, id]) => (isSessionRoom(room) || room === id ? id : ''))
const connectionClosed = new SocketWatch('close', () => undefined)
const socketConnected = new SocketWatch('connect', ([socket]) => (socket as Socket).id)
