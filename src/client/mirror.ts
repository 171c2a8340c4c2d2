import { MIRROR_EVENT } from './protocol.js'
import { adopt, copy, nextState } from './state.js'
import type { Channel, InnerSocket, LayeredMirror, Locks, Mirror, MirrorOptions, MirrorSocket, Status, Store } from './types.js'

/** Not every environment has it. */
declare const navigator: { locks: Locks }

const failure = (code: string) => {
  const error: Error & { code?: string } = Error(code)
  error.code = code
  return error
}

/** In Node it does not hold the process open. */
const after = (ms: number, run: () => unknown) => (setTimeout(run, ms) as { unref?(): void }).unref?.()

/**
 * Mirrors what the server's option `publish` makes of the session. The first state comes with the connection, changes after that.
 * @param socket of `socket.io-client`, connected or not
 * @example
 * const socket = io()
 * const live = mirror<Published>(socket, { renew: () => fetch('/session', { method: 'POST' }) })
 * live.subscribe((state) => render(state))
 */
export function mirror<T extends object>(socket: MirrorSocket, options?: MirrorOptions<T>): Mirror<T>
// Each socket of `socket.io-client` is an inner one; its types do not show all of that.
export function mirror<T extends object>(socket: any, { initial: embedded, renew }: MirrorOptions<T> = {}): Mirror<T> {
  const manager = (socket as InnerSocket).io
  const initial = embedded && adopt<T>(copy(embedded.state))
  /** The state that the server has sent, and its tag. */
  let base = initial
  let tag: string | undefined = embedded?.tag
  /** The state with the guesses laid over it. */
  let view = base
  let status: Status = 'connecting'
  /** What the server calls the session. */
  let session: unknown
  let tabs: Channel | undefined
  /** Why `ready` rejects, and after close() all that waits. */
  let problem: Error | undefined
  let closed: Error | undefined

  /** What is below the question. */
  let packet: InnerSocket['packet'] = socket.packet
  /** The handshake of this connection has the question. */
  let asked: unknown
  /** 1: the answer to a question. 2: the next connection, as what this one still brings is of a session that has ended. */
  let awaits = 0
  let isRenewing: unknown
  /** How many renewals in a row have led to no connection that lasted. */
  let renewals = 0
  let connectedAt = 0

  const layers: LayeredMirror<T>['_'][0] = new Set()
  const watchers = new Set<() => void>()

  /** Calls a function now, and when something may have changed. */
  const watch = (watcher: () => void) => {
    watchers.add(watcher)
    watcher()
    return () => watchers.delete(watcher)
  }

  const update = (next = status): void => {
    status = isRenewing || socket.active || next !== 'switching' ? next : 'ended'
    let now = base
    for (const layer of layers) now = layer(now)
    // What is equal to what was shown keeps its identity.
    view = adopt(now, view)
    // One that is added meanwhile finds that nothing has changed.
    for (const watcher of watchers) {
      try {
        watcher()
      } catch (error) {
        // A listener that throws does not stop the others.
        console.error(error)
      }
    }
  }

  /** A store of what is selected of a value. It computes that only when the value changes; what is equal keeps its identity. */
  const createStore = <V, R>(
    select = (value: V) => value as unknown as R,
    equal: (a: R, b: R) => boolean = Object.is,
    read = (): V | undefined => view as V | undefined,
  ): Store<R | undefined> => {
    let value: V | undefined
    let selection: R | undefined
    const get = () => {
      const now = read()
      if (now !== value) {
        const next = now && select(now)
        if (!(now && value && equal(selection as R, next as R))) selection = next
        value = now
      }
      return selection
    }
    const call = (listener: (selection: R | undefined) => void, last: unknown) =>
      watch(() => {
        const before = last
        last = get()
        if (!Object.is(before, last)) listener(last as R | undefined)
      })
    return {
      get,
      listen: (listener) => call(listener, get()),
      // Nothing is equal to the function.
      subscribe: (listener) => call(listener, call),
    }
  }

  const ask = (held?: string): void => {
    if (awaits) return
    awaits = 1
    // Not by emit(): with the client's option `retries` that waits for an ack. 2 is the type of an event.
    socket.packet({ type: 2, data: [MIRROR_EVENT, held || 0] })
    update(status === 'live' ? 'stale' : status)
  }

  const forget = (next: Status): void => {
    base = tag = session = undefined
    layers.clear()
    update(next)
  }

  const end = (): void => {
    if (session) tabs?.postMessage(session)
    // A connection that was not answered yet may be one of the next session.
    awaits = status === 'live' ? 2 : 0
    // The next attempt begins at once. The attempts after it have the manager's own delay again.
    const delay = manager.reconnectionDelay()
    // 0: the mirror of another namespace of this manager came first.
    if (delay) {
      manager.reconnectionDelay(0)
      manager.once('reconnect_attempt', () => manager.reconnectionDelay(delay))
    }
    forget('switching')
  }

  const renewSession = async (pause = 1000): Promise<void> => {
    let answer: any
    // A request that is never answered holds back the other tabs for ten seconds.
    const request = () =>
      (answer ??=
        closed ||
        Promise.race([
          // It may throw as well.
          new Promise((settle) => settle((renew as () => unknown)())),
          new Promise((_, fail) => after(10_000, fail)),
        ]))
    try {
      // One tab at a time: a tab that waits sends its request with the cookie that the one before got. A sandboxed page has locks and denies
      // them, others have none.
      try {
        await navigator.locks.request(MIRROR_EVENT, request)
      } catch {}
      // Mostly it is a response.
      if ((await request())?.ok === false) throw answer
      isRenewing = 0
      renewals++
      // The application may have connected it meanwhile.
      if (!closed && !socket.active) socket.connect()
    } catch {
      // It does nothing after close().
      after(pause, () => renewSession(pause < 8000 ? pause * 2 : pause))
    }
  }

  // What comes from the server is looked at, and not believed.
  const listeners: Record<string, (argument?: any) => void> = {
    [MIRROR_EVENT](frame) {
      try {
        const { n, s } = frame
        if (awaits < 2) {
          if (frame.end) end()
          else if (frame.e) {
            if (frame.e === 'NOT_PUBLISHED') problem = failure(frame.e)
            update('stale')
          } else if (frame.t) {
            if (!s && frame.t !== tag && frame.f !== tag) ask(tag)
            else {
              if (s || frame.t !== tag) base = nextState(base, s, frame.p)
              tag = frame.t
              awaits = 0
              if (n) {
                if (session && n !== session) layers.clear()
                session = n
                // A page that is denied storage is denied the channel too.
                try {
                  tabs ??= new BroadcastChannel(MIRROR_EVENT) as unknown as Channel
                  tabs.onmessage = (message) => message.data === session && end()
                  // In Node it would hold the process open.
                  tabs.unref?.()
                } catch {}
              }
              update('live')
            }
          }
        }
      } catch {
        // It did not fit what is held. So another change would not either.
        ask()
      }
    },
    connect() {
      awaits = 0
      connectedAt = Date.now()
      // The handshake may have been sent before this mirror was made.
      asked = !asked && ask(tag)
    },
    disconnect() {
      // Where the server ends each session at once, renewals must not go on for ever.
      if (Date.now() - connectedAt > 5000) renewals = 0
      update(status === 'live' ? 'stale' : status)
    },
    connect_error(error) {
      if (renew && error.data?.code === 'RENEWAL_NEEDED' && (isRenewing || renewals < 3)) {
        // The server closes the connection. A client 4.0 would come back by itself, before it has a cookie.
        socket.disconnect()
        if (!isRenewing) renewSession()
        isRenewing = 1
        // An embedded state is not the one of a session that has ended.
        if (session) forget('switching')
        // Only the server's refusals have data. Without a network the socket tries again.
      } else if ('data' in error) {
        problem = error
        renewals = 0
        forget('ended')
      }
    },
  }

  /** Not over `socket.auth`, which applications replace, or change in place. */
  const withQuestion: InnerSocket['packet'] = (sent) => {
    // 0 is the type of the handshake.
    if (!sent.type && !closed) {
      const auth: any = sent.data
      // A mirror without `renew` on the same socket would take the server's answer for a refusal.
      sent.data = { ...auth, [MIRROR_EVENT]: [tag || 0, +!!(renew && auth?.[MIRROR_EVENT]?.[1] !== 0)] }
      asked = true
    }
    // A mirror that is closed leaves the chain here if another one is over it.
    while (packet.below) packet = packet.below
    packet.call(socket, sent)
  }

  const until = (fits?: (state: T) => boolean): Promise<T> => {
    let stop!: () => void
    const result = new Promise<T>((resolve, reject) => {
      stop = watch(() => {
        try {
          if (view && (!fits || fits(view))) resolve(view)
          else if (problem && (closed || !fits)) reject(problem)
        } catch (error) {
          reject(error)
        }
      })
    })
    result.then(stop, stop)
    return result
  }

  socket.packet = withQuestion
  for (const event in listeners) {
    const run = listeners[event] as (argument: any) => void
    // A socket still calls one that was taken off it by the listener before.
    listeners[event] = (argument) => closed || run(argument)
    socket.on(event, listeners[event])
  }
  if (socket.connected) ask(tag)

  const live: LayeredMirror<T> = {
    ...createStore<T, T>(),
    initial,
    ready: until(),
    until,
    statuses: createStore<Status, Status>(undefined, undefined, () => status) as Store<Status>,
    get status() {
      return status
    },
    select: createStore,
    close() {
      closed = problem = failure('CLOSED')
      // A renewal has taken the connection away.
      if (isRenewing && !socket.active) socket.connect()
      isRenewing = 0
      for (const event in listeners) socket.off(event, listeners[event])
      // Another mirror may have come later, and may close later or earlier.
      withQuestion.below = packet
      while (socket.packet.below) socket.packet = socket.packet.below
      tabs?.close()
      update(base ? 'stale' : 'ended')
    },
    _: [layers, update],
  }
  return live
}
