import { type Socket as Client, io as connect } from 'socket.io-client'
import type { Cluster } from './cluster.js'
import type { Answer, Operation, Step } from './history.js'
import type { ClientPlan } from './plan.js'

/** An answer that is not there after so long is not waited for: what was asked for may or may not have happened. */
const PATIENCE = 10_000

/** The one session of a run, as its browsers know it. */
export interface Visitor {
  cluster: Cluster
  cookie: string
  sid: string
}

/** Writes down what clients ask for and hear, in one order. */
export class Recorder {
  readonly operations: Operation[] = []
  #clock = 0

  /** Does a step, and records it from the moment it is asked for. Never rejects: a step that fails is not acknowledged. */
  readonly record = async (client: string, step: Step, run: () => Promise<Answer>): Promise<void> => {
    const operation: Operation = { ...step, id: this.operations.length, client, invoked: this.#clock++ }
    this.operations.push(operation)
    try {
      const { effects, seen } = await run()
      Object.assign(operation, { effects, ...(seen && { seen }), completed: this.#clock++ })
    } catch (error) {
      operation.error = message(error)
    }
  }
}

/** Carries out one client's plan, step after step. */
export class Actor {
  readonly #plan: ClientPlan
  readonly #visitor: Visitor
  readonly #record: Recorder['record']
  #socket: Client | undefined

  constructor(plan: ClientPlan, visitor: Visitor, record: Recorder['record']) {
    this.#plan = plan
    this.#visitor = visitor
    this.#record = record
  }

  async run(more: () => boolean): Promise<void> {
    while (more()) {
      const step = this.#plan.next()
      await this.#record(this.#plan.name, step, () => (step.by === 'http' ? this.#request(step) : this.#emit(step)))
    }
  }

  close(): void {
    this.#socket?.disconnect()
  }

  async #request(step: Step): Promise<Answer> {
    const { sid } = this.#visitor
    return (await post(this.#visitor, step.process, step.resave ? '/resave' : '/step', { step, sid })).json() as Promise<Answer>
  }

  async #emit(step: Step): Promise<Answer> {
    const socket = await this.#connected(step.process)
    const answer = await socket.timeout(PATIENCE).emitWithAck('step', step, this.#visitor.sid)
    if (answer.lost) throw new SessionLost()
    if (answer.error) throw new Error(answer.error)
    return answer
  }

  async #connected(process: number): Promise<Client> {
    if (this.#socket?.connected) return this.#socket
    this.#socket?.disconnect()
    const socket = connect(await this.#visitor.cluster.url(process), {
      forceNew: true,
      reconnection: false,
      timeout: PATIENCE,
      // Both ways of talking are part of the load.
      transports: [/[02468]$/.test(this.#plan.name) ? 'websocket' : 'polling'],
      extraHeaders: { cookie: this.#visitor.cookie },
    })
    this.#socket = socket
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('connect_error', reject)
      socket.once('disconnect', (reason) => reject(new Error(reason)))
    })
    return socket
  }
}

/** A process did not find the session, which nobody had destroyed. */
class SessionLost extends Error {
  override readonly message = LOST
}

export const LOST = 'the session was not found'

export async function post(
  { cluster, cookie }: Pick<Visitor, 'cluster' | 'cookie'>,
  process: number,
  path: string,
  body: object,
) {
  const response = await fetch((await cluster.url(process)) + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(cookie && { cookie }) },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(PATIENCE),
  })
  if (response.status === 410) throw new SessionLost()
  if (!response.ok) throw new Error(`${response.status} ${(await response.text()).slice(0, 300)}`)
  return response
}

function message(error: unknown): string {
  const { message, cause } = error as Error
  return cause ? `${message}: ${(cause as Error).message}` : String(message)
}
