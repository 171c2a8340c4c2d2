import mitt, { type Emitter } from 'mitt'
import type { Socket } from 'socket.io'
import { MIRROR_EVENT } from '../client/protocol.js'
import { SharedSessionError } from '../errors.js'
import { type EventSink, warnUnhandled } from '../session/notifier.js'
import type { SharedSessionEvents, SharedSessionSocketEvents } from '../types.js'

/** Is this the name of an event that only this package emits, or that only it receives? */
export function isReservedEvent(name: unknown): boolean {
  return name === 'session:changed' || name === 'session:destroyed' || name === 'session:error' || name === MIRROR_EVENT
}

/**
 * Calls a socket's own listeners of a session event. A listener that throws or rejects does not stop the others.
 * @param onError gets what a listener threw or rejected with
 * @returns resolves when async listeners have ended as well; `undefined` if there is no listener
 */
export function emitLocal<Event extends keyof SharedSessionSocketEvents>(
  socket: Socket,
  event: Event,
  payload: Parameters<SharedSessionSocketEvents[Event]>[0],
  onError: (cause: unknown) => void,
): Promise<unknown> | undefined {
  const listeners = socket.rawListeners(event as never) as ((payload: unknown) => unknown)[]
  if (listeners.length === 0) return undefined
  return Promise.all(listeners.map((listener) => callListener(() => listener.call(socket, payload), onError)))
}

/** `shared.events`: the events of all sessions of the store, in this process. */
export class SharedEvents implements EventSink {
  readonly emitter: Emitter<SharedSessionEvents> = mitt<SharedSessionEvents>()

  hasListener(type: keyof SharedSessionEvents): boolean {
    const { all } = this.emitter
    return (all.get(type)?.length ?? 0) > 0 || (all.get('*')?.length ?? 0) > 0
  }

  /**
   * Calls the handlers one after the other, which mitt does not do: a handler that throws must not stop the others, nor the commit that
   * it is notified of.
   * @returns whether there was a handler
   */
  emit<Type extends keyof SharedSessionEvents>(type: Type, payload: SharedSessionEvents[Type]): boolean {
    const handlers = (this.emitter.all.get(type) ?? []) as ((payload: unknown) => unknown)[]
    // mitt's handlers of all events are typed for one event map, without our generic payload.
    const wildcards = (this.emitter.all.get('*') ?? []) as unknown as ((type: string, payload: unknown) => unknown)[]
    const calls = [
      ...handlers.map((handler) => () => handler(payload)),
      ...wildcards.map((handler) => () => handler(type, payload)),
    ]
    for (const call of calls) callListener(call, (cause) => this.#handlerFailed(type, payload.sessionID, cause))
    return calls.length > 0
  }

  #handlerFailed(type: string, sessionID: string | undefined, cause: unknown): void {
    const message = `A handler of ${type} on shared.events threw or rejected; the others ran.`
    const error = new SharedSessionError('LISTENER_FAILED', message, { cause })
    Object.defineProperty(error, 'sessionID', { value: sessionID, enumerable: false })
    // A handler of errors that fails itself is not called with its own error.
    if (type === 'session:error' || !this.emit('session:error', error)) warnUnhandled(error)
  }
}

/** @returns resolves when the listener has ended, also where it failed */
function callListener(call: () => unknown, onError: (cause: unknown) => void): Promise<unknown> | undefined {
  try {
    return Promise.resolve(call()).catch(onError)
  } catch (cause) {
    onError(cause)
    return undefined
  }
}
