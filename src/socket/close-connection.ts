/** The part of Engine.IO's connection that {@link closeConnection} needs. */
export interface ClosableConnection {
  readyState: string
  readonly transport?: PollingTransport
  close(): unknown
}

interface PollingTransport {
  readonly name?: string
  readonly writable?: boolean
  on(event: 'ready', listener: () => void): unknown
  off(event: 'ready', listener: () => void): unknown
}

/**
 * Closes a connection. What it has buffered is sent before; nothing is sent or received after that.
 *
 * With a polling transport that has no poll to answer, Engine.IO's own `close()` starts a timer of 30 s. Nothing stops that timer when the
 * client upgrades meanwhile, or when the server closes: it would hold the process open. So such a connection is closed when the next poll
 * has come. Until then it is in Engine.IO's own state `closing`, in which an upgrade, the client's leaving and `io.close()` close it too.
 */
export function closeConnection(conn: ClosableConnection): void {
  const { transport } = conn
  if (conn.readyState !== 'open' || transport?.name !== 'polling' || transport.writable !== false) {
    conn.close()
    return
  }
  conn.readyState = 'closing'
  const onPoll = (): void => {
    // The poll was answered with what was buffered.
    if (!transport.writable) return
    transport.off('ready', onPoll)
    if (conn.readyState !== 'closing') return
    conn.readyState = 'open'
    conn.close()
  }
  transport.on('ready', onPoll)
}
