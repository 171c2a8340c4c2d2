import type { MirrorFrame, MirrorState } from '../protocol.js'
import { canonical, FakeServerSide, type FakeSocket } from './fake-connection.js'

/** The server that a fake socket is connected to. It speaks the protocol of the real one. */
export class FakeServer<T extends object> extends FakeServerSide {
  /** The frames that the client was sent, in order. */
  readonly sent: MirrorFrame[] = []
  /** Names the session for the browser's other tabs. Another fake socket with the same name is another tab. */
  session = sessionName()
  #state: T | undefined
  /** The tag of what this connection was sent last. */
  #last: string | undefined
  #answered = false

  constructor() {
    super()
    this.onquestion = ({ held }) => this.#answer(held)
  }

  /** Connects the socket. It gets the state that was published, if there is one. */
  connect(): void {
    this.accept()
  }

  override accept(): void {
    if (this.socket.connected) return
    const before = this.questions.length
    this.#answered = false
    super.accept()
    // A client that has not asked in its handshake has asked by an event, and has its answer.
    const question = this.questions[before]
    if (question && !this.#answered) this.#answer(question.held)
  }

  /** Publishes a state: a connected client gets it at once. */
  publish(state: T): void {
    this.#state = JSON.parse(JSON.stringify(state)) as T
    if (!this.socket.connected) return
    const tag = tagOf(state)
    if (!this.#answered) this.#answer(0)
    else if (tag !== this.#last) this.#send({ t: tag, f: this.#last as string, p: [[[], this.#json()]] })
    this.#last = tag
  }

  /** The server could not publish, or publishes nothing. */
  fail(code: 'PUBLISH_FAILED' | 'TOO_LARGE_TO_PUBLISH' | 'NOT_PUBLISHED'): void {
    this.#send({ e: code })
  }

  /**
   * Ends the session, as a logout does: the client forgets its state, and its connection is closed. `connect()` then begins another session,
   * whose state is to be published.
   * @param comesBack false: the server disconnects the socket, which does not come back by itself
   */
  end(reason: 'destroyed' | 'expired' | 'regenerated' = 'destroyed', comesBack = true): void {
    this.#send({ end: reason })
    this.#state = undefined
    this.session = sessionName()
    this.drop(comesBack ? 'transport close' : 'io server disconnect', comesBack)
  }

  /** The connection is lost. `connect()` brings it back. */
  disconnect(reason?: string): void {
    this.drop(reason)
  }

  #json(): MirrorState {
    return this.#state as MirrorState
  }

  #answer(held: string | 0): void {
    if (!this.#state) return
    const t = tagOf(this.#state)
    const n = this.session
    this.#answered = true
    this.#last = t
    this.#send(held === t ? { t, n } : { t, s: this.#json(), n })
  }

  #send(frame: MirrorFrame): void {
    this.sent.push(frame)
    this.send(frame)
  }
}

/** Other tests, which may run in the same process, have other sessions. */
const sessionName = (): string => Math.random().toString(36).slice(2, 14).padEnd(12, '0')

/** Names a state by its content, as a real tag does; it is another one. */
function tagOf(state: object): string {
  let hash = 0xcbf29ce484222325n
  for (const character of canonical(state) as string)
    hash = BigInt.asUintN(64, (hash ^ BigInt(character.codePointAt(0) ?? 0)) * 0x100000001b3n)
  return hash.toString(36).padStart(13, '0').slice(-12)
}

/**
 * A socket and a server for tests of pages, without a network. All happens at once, in the call that causes it.
 * @returns `socket` for `mirror()`, and `server`, which says what happens
 * @example
 * const { socket, server } = fakeSocket<Published>()
 * const live = mirror<Published>(socket)
 * server.publish({ items: ['tea'] })
 * server.connect()
 * assert.deepEqual(live.get(), { items: ['tea'] })
 */
export function fakeSocket<T extends object>(): { socket: FakeSocket; server: FakeServer<T> } {
  const server = new FakeServer<T>()
  return { socket: server.socket, server }
}
