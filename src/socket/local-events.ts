import type { Socket } from 'socket.io'
import type { SharedSessionSocketEvents } from '../types.js'

/** A name that only this package emits, on the server's side. */
export function isReservedEvent(name: unknown): boolean {
  return name === 'session:changed' || name === 'session:destroyed' || name === 'session:error'
}

type Listener = (...args: unknown[]) => unknown

/**
 * Calls a socket's own listeners of a local event. One that throws or rejects does not stop the others.
 * @param failed is told what a listener threw or rejected with
 * @returns resolves when async listeners have ended as well; `undefined` where there is no listener
 */
export function emitLocal<Event extends keyof SharedSessionSocketEvents>(
  socket: Socket,
  event: Event,
  payload: Parameters<SharedSessionSocketEvents[Event]>[0],
  failed: (cause: unknown) => void,
): Promise<unknown> | undefined {
  const listeners = socket.rawListeners(event as never) as Listener[]
  if (listeners.length === 0) return undefined
  const results = listeners.map((listener) => {
    try {
      return Promise.resolve(listener.call(socket, payload)).catch(failed)
    } catch (cause) {
      return failed(cause)
    }
  })
  return Promise.all(results)
}
