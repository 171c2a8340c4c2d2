import type { ErrorFrame, HeldTag, MirrorFrame, MirrorState, Tag } from '../protocol.js'
import { canonical, FakeServerSide, type FakeSocket } from './fake-connection.js'

/** The server that a fake socket is connected to. It speaks the protocol of the real one. */
export class FakeServer<T extends object> extends FakeServerSide {
  /** The frames that the client was sent, in order. */
  readonly sent: MirrorFrame[] = []
  /** Names the session for the browser's other tabs. Another fake socket with the same name is another tab. */
  session = sessionName()
  #state: MirrorState | undefined
  /** Why the state is not the one of now. */
  #error: ErrorFrame['e'] | undefined
  /** What the client said that it holds. */
  #held: HeldTag = 0
  /** The tag of what this connection was sent last. */
  #last: Tag | undefined
  #answered = false
  /** How many questions came before this connection. */
  #before = 0

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
    this.#before = this.questions.length
    this.#answered = false
    super.accept()
  }

  protected override greet(): void {
    // A client that has not asked in its handshake has asked by an event, and has its answer.
    const question = this.questions[this.#before]
    if (question && !this.#answered) this.#answer(question.held)
  }

  /** Publishes a state: a connected client gets it at once. */
  publish(state: T): void {
    const failed = this.#error
    this.#error = undefined
    // As the real server sends it: JSON with the keys in order.
    const s: MirrorState = JSON.parse(canonical(state) as string)
    this.#state = s
    if (!this.socket.connected) return
    const t = tagOf(s)
    if (!this.#answered) this.#answer(this.#held)
    else if (t !== this.#last) this.#send({ t, f: this.#last as Tag, p: [[[], s]] })
    else if (failed) this.#send({ t, n: this.session })
    this.#last = t
  }

  /** The server could not publish, or publishes nothing: the client is told, also when it connects, until a state is published. */
  fail(code: 'PUBLISH_FAILED' | 'TOO_LARGE_TO_PUBLISH' | 'NOT_PUBLISHED'): void {
    this.#error = code
    if (this.socket.connected) this.#send({ e: code })
  }

  /**
   * Ends the session, as a logout does: the client forgets its state, and its connection is closed. `connect()` then begins another session,
   * whose state is to be published.
   * @param comesBack false: the server disconnects the socket, which does not come back by itself
   */
  end(reason: 'destroyed' | 'expired' | 'regenerated' = 'destroyed', comesBack = true): void {
    this.#send({ end: reason })
    this.#state = this.#error = undefined
    this.session = sessionName()
    this.drop(comesBack ? 'transport close' : 'io server disconnect', comesBack)
  }

  /** The connection is lost. `connect()` brings it back. */
  disconnect(reason?: string): void {
    this.drop(reason)
  }

  #answer(held: HeldTag): void {
    const s = this.#state
    this.#held = held
    this.#answered = Boolean(s && !this.#error)
    if (this.#error) this.#send({ e: this.#error })
    else if (s) {
      const t = tagOf(s)
      const n = this.session
      this.#last = t
      this.#send(held === t ? { t, n } : { t, s, n })
    }
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
