import { canonical, FakeServerSide, type FakeSocket } from './fake-connection.js'

/** What the cases need of a client. */
export interface ConformanceClient {
  /** The state that the client holds; undefined without one. */
  get(): unknown
  /** Whether the state is the server's, if the client tells. */
  isLive?(): boolean
  /** Calls a function after each change of the state, if the client tells. */
  listen?(listener: () => void): void
}

export const FIRST = { cart: { items: ['tea', 'milk', 'bread'], total: 7 }, user: { name: 'Ada' } }
export const SESSION = 'session00001'

/** A client, and the server that a case speaks for. */
export class Scene {
  readonly server = new FakeServerSide()
  readonly client: ConformanceClient
  changes = 0

  constructor(
    createClient: (socket: FakeSocket) => ConformanceClient,
    before: (server: FakeServerSide) => void = () => undefined,
  ) {
    before(this.server)
    this.client = createClient(this.server.socket)
    this.client.listen?.(() => this.changes++)
  }

  /** Connects, and sends the first state. */
  begin(): this {
    this.server.accept()
    this.server.send({ t: 'tag000000001', s: FIRST, n: SESSION })
    this.changes = 0
    this.server.questions.length = 0
    return this
  }

  /** Connects again, and forgets the questions before this. */
  reconnect(): void {
    this.server.drop()
    this.server.questions.length = 0
    this.server.accept()
  }

  holds(expected: unknown): void {
    same('the state', this.client.get(), expected)
  }

  asked(...held: unknown[]): void {
    same(
      'the tags in its questions',
      this.server.questions.map((question) => question.held),
      held,
    )
  }

  /** One question: with the tag that is held, or with 0, as for a state that is in doubt. */
  askedOnce(): void {
    same('the number of its questions', this.server.questions.length, 1)
    const [question] = this.server.questions
    if (question && question.held !== 0) same('the tag in its question', question.held, 'tag000000001')
  }

  changed(times: number): void {
    if (this.client.listen) same('the number of notifications', this.changes, times)
  }

  unharmed(): void {
    const state = this.client.get() as { cart?: object; harmed?: unknown; a?: { harmed?: unknown } } | undefined
    if ('harmed' in {} || 'harmed' in Object || 'harmed' in []) throw new Error('a prototype was changed')
    if (state && ('harmed' in state || (state.a && 'harmed' in state.a)))
      throw new Error('the state inherits what the server sent')
  }

  live(expected: boolean): void {
    if (this.client.isLive) same('isLive()', this.client.isLive(), expected)
  }
}

export function same(what: string, actual: unknown, expected: unknown): void {
  const [is, should] = [canonical(actual), canonical(expected)]
  if (is !== should) throw new Error(`${what}: ${is}, and should be ${should}`)
}

/** The numbers are those of tags. */
export const delta = (t: number, f: number, p: unknown, more: object = {}): object => ({
  t: `tag00000000${t}`,
  f: `tag00000000${f}`,
  p,
  ...more,
})
