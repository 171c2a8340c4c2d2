/** A connection that only subscribes to channels. */
export interface SubscriberConnection {
  /** Resolves when it is connected. */
  connect(): Promise<unknown>
  /** Resolves when messages of all these channels are received. */
  subscribe(channels: string[]): Promise<unknown>
  unsubscribe(channels: string[]): Promise<unknown>
  ping(): Promise<unknown>
  /** Closes it at once, whatever the server does. */
  destroy(): void
}

export interface SubscriberListener {
  message(channel: string, text: string): void
  /** The connection is lost, or of no use. Called at least once for that. */
  lost(): void
}

/** Where to subscribe to a channel. */
export interface SubscriberEndpoint {
  /** The same for channels that one connection serves. */
  name: string
  open(listener: SubscriberListener): SubscriberConnection
}
