import { MIRROR_EVENT, type MirrorPatch } from './protocol.js'
import { adopt, copy, nextState } from './state.js'
import { createStore, memoize } from './store.js'
import type { InnerSocket, LayeredMirror, Mirror, MirrorOptions, MirrorSocket, Status } from './types.js'

/** Of Socket.IO's packets. */
const CONNECT = 0
const EVENT = 2

const MOST_RENEWALS = 3
const FIRST_PAUSE = 1000
const LONGEST_PAUSE = 10_000

interface Channel {
  onmessage: unknown
  postMessage(data: unknown): void
  close(): void
  unref?(): void
}

/** Not every environment has them. */
const { BroadcastChannel, navigator } = globalThis as {
  BroadcastChannel?: new (name: string) => Channel
  navigator?: { locks?: { request<R>(name: string, work: () => R): Promise<R> } }
}

const failure = (code: string, message: string): Error => Object.assign(new Error(message), { code })

/**
 * Mirrors what the server's option `publish` makes of the session. The first state comes with the connection, changes after that.
 * @param client the socket of `socket.io-client`, connected or not
 * @example
 * const socket = io()
 * const live = mirror<Published>(socket, { renew: () => fetch('/session', { method: 'POST' }) })
 * live.subscribe((state) => render(state))
 */
export function mirror<T extends object>(client: MirrorSocket, { initial, renew }: MirrorOptions<T> = {}): Mirror<T> {
  const socket = client as InnerSocket
  const { io: manager, packet } = socket
  const name = `sharedsession ${manager.uri}`
  const first = initial && adopt(copy(initial.state))
  /** The state that the server has sent, and what it is called. */
  let base = first
  let tag: unknown = initial ? initial.tag : 0
  /** The state with the guesses laid over it. */
  let view = base
  let status: Status = 'connecting'
  /** What the server calls the session. */
  let session: unknown
  let tabs: Channel | undefined
  /** Why `ready` rejects, and after close() all that waits. */
  let problem: Error | undefined
  let closed = false

  /** The handshake of this connection has the question. */
  let asked = false
  /** A question waits for its answer. */
  let asking = false
  /** What this connection still brings is of a session that has ended. */
  let muted = false

  let renewals = 0
  let pause = FIRST_PAUSE
  let timer: ReturnType<typeof setTimeout> | undefined

  const layers: LayeredMirror<T>['_layers'] = new Set()
  const watchers = new Set<() => void>()
  const changes = (watcher: () => void) => {
    watchers.add(watcher)
    return () => {
      watchers.delete(watcher)
    }
  }
  const states = createStore(() => view, changes)

  const update = (next = status): void => {
    status = next
    view = base
    for (const layer of layers) view = layer(view)
    for (const watcher of [...watchers]) {
      try {
        if (watchers.has(watcher)) watcher()
      } catch (error) {
        // A listener that throws does not stop the others.
        console.error(error)
      }
    }
  }

  const ask = (held: unknown): void => {
    if (asking) return
    asking = true
    // Not by emit(): with the client's option `retries` that waits for an ack.
    socket.packet({ type: EVENT, data: [MIRROR_EVENT, held] })
    if (status === 'live') update('stale')
  }

  const end = (own: boolean): void => {
    if (own && session) tabs?.postMessage(session)
    // A connection that was not answered yet may be one of the next session.
    muted = own || status === 'live'
    base = session = undefined
    tag = 0
    layers.clear()
    // The next attempt begins at once. The attempts after it have the manager's own delay again.
    const delay = manager.reconnectionDelay()
    // 0: the mirror of another namespace of this manager came first.
    if (delay) {
      manager.reconnectionDelay(0)
      manager.once('reconnect_attempt', () => manager.reconnectionDelay(delay))
    }
    update('switching')
  }

  const receive = ({ t, s, f, p, n, e, end: reason }: Record<string, unknown>): void => {
    if (reason) end(true)
    else if (e) {
      if (e === 'NOT_PUBLISHED') problem = failure(e, 'The server publishes no state')
      update('stale')
    } else if (t && (s || p || n)) {
      if (s || t !== tag) {
        if (!s && (!p || f !== tag)) {
          ask(tag)
          return
        }
        base = nextState(base, s, s ? [] : (p as MirrorPatch[]))
      }
      tag = t
      asking = false
      if (n) {
        if (n !== session) layers.clear()
        session = n
        if (!tabs && BroadcastChannel) {
          tabs = new BroadcastChannel(name)
          tabs.onmessage = ({ data }: { data: unknown }) => data === session && end(false)
          // In Node it would hold the process open.
          tabs.unref?.()
        }
      }
      update('live')
    }
  }

  const refused = (error: Error): void => {
    problem = error
    update(base ? 'stale' : 'ended')
  }

  /** One tab at a time: a tab that waits sends its request with the cookie that the one before got. */
  const renewSession = async (engine?: object): Promise<void> => {
    const request = () => closed || socket.connected || renew?.()
    try {
      const answer = await (navigator?.locks ? navigator.locks.request(name, request) : request())
      if ((answer as { ok?: boolean } | undefined)?.ok === false) throw answer
      renewals++
      if (closed || socket.connected) return
      // The server reads the cookie that a connection began with.
      if (manager.engine === engine) manager.disconnect()
      socket.connect()
    } catch {
      if (!closed) timer = setTimeout(renewSession, pause, engine)
      pause = Math.min(pause * 2, LONGEST_PAUSE)
    }
  }

  const listeners: Record<string, (argument: any) => void> = {
    [MIRROR_EVENT](frame) {
      try {
        if (!muted) receive(frame)
      } catch {
        // It did not fit what is held. So another change would not either.
        ask(0)
      }
    },
    connect() {
      muted = asking = false
      renewals = 0
      pause = FIRST_PAUSE
      if (status === 'ended') update('connecting')
      if (!asked) ask(tag)
      asked = false
    },
    disconnect() {
      if (status === 'live') update('stale')
      if (status === 'switching' && !socket.active) update('ended')
    },
    connect_error(error) {
      // Only the server's refusals have data. Without a network the socket tries again.
      if (!('data' in error)) return
      if (!renew || error.data?.code !== 'RENEWAL_NEEDED') refused(error)
      else if (renewals < MOST_RENEWALS) renewSession(manager.engine)
      else refused(failure('COOKIES_BLOCKED', 'renew() gave no cookie. Are cookies allowed?'))
    },
  }

  /** Not over `socket.auth`, which applications replace, or change in place. */
  const withQuestion: InnerSocket['packet'] = (sent) => {
    if (sent.type === CONNECT && !closed) {
      sent.data = { ...(sent.data as object), [MIRROR_EVENT]: [tag, renew ? 1 : 0] }
      asked = true
    }
    packet.call(socket, sent)
  }

  const until = (fits: (state: T) => boolean, isReady?: boolean): Promise<T> => {
    let stop!: () => void
    const result = new Promise<T>((resolve, reject) => {
      const look = (): void => {
        if (view && fits(view)) resolve(view)
        else if (problem && (closed || isReady)) reject(problem)
      }
      stop = changes(look)
      look()
    })
    result.then(stop, stop)
    return result
  }

  socket.packet = withQuestion
  for (const event in listeners) socket.on(event, listeners[event]!)
  if (socket.connected) ask(tag)

  const live: LayeredMirror<T> = {
    ...states,
    initial: first,
    ready: until(() => true, true),
    until,
    statuses: createStore(() => status, changes),
    get status() {
      return status
    },
    select: (select, equal) => createStore(memoize(states.get, select, equal), changes),
    close() {
      closed = true
      for (const event in listeners) socket.off(event, listeners[event]!)
      if (socket.packet === withQuestion) socket.packet = packet
      clearTimeout(timer)
      tabs?.close()
      refused(failure('CLOSED', 'The mirror is closed'))
    },
    _layers: layers,
    _update: update,
  }
  return live
}
