/** The part of Engine.IO's connection that {@link closeConnection} needs. */
export interface ClosableConnection {
  readyState: string
  readonly transport?: PollingTransport
  close(discard?: boolean): unknown
}

/** By which a transport tells that a poll has come. Engine.IO before 6.5 has only the second one. */
const POLL_EVENTS = ['ready', 'drain'] as const
type PollEvent = (typeof POLL_EVENTS)[number]

interface PollingTransport {
  readonly name?: string
  readonly writable?: boolean
  on(event: PollEvent, listener: () => void): unknown
  off(event: PollEvent, listener: () => void): unknown
}

/**
 * Closes a connection. What it has buffered is sent before; nothing is sent or received after that.
 *
 * With a polling transport that has no poll to answer, Engine.IO's own `close()` starts a timer of 30 s. Nothing stops that timer when the
 * client upgrades meanwhile, or when the server closes: it would hold the process open. So such a connection is closed when the next poll
 * has come. Until then it is in Engine.IO's own state `closing`, in which an upgrade and the client's leaving close it too.
 */
export function closeConnection(conn: ClosableConnection): void {
  const { transport } = conn
  if (conn.readyState !== 'open' || transport?.name !== 'polling' || transport.writable !== false) {
    conn.close()
    return
  }
  conn.readyState = 'closing'
  const stopWaiting = (): void => {
    for (const event of POLL_EVENTS) transport.off(event, onPoll)
    Reflect.deleteProperty(conn, 'close')
  }
  const onPoll = (): void => {
    // Otherwise the poll was answered with what was buffered.
    if (!transport.writable) return
    stopWaiting()
    if (conn.readyState !== 'closing') return
    conn.readyState = 'open'
    conn.close()
  }
  for (const event of POLL_EVENTS) transport.on(event, onPoll)
  // For `io.close()`, which waits for nothing: before 6.5 Engine.IO's own `close(true)` waits until what is buffered was sent.
  conn.close = (discard) => {
    if (!discard) return
    stopWaiting()
    // Private in Engine.IO's types, and the same in each version.
    const { closeTransport } = conn as unknown as { closeTransport(discard: boolean): void }
    closeTransport.call(conn, true)
  }
}
