import { Agent, type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { type Socket as Client, io as connect } from 'socket.io-client'
import type { Address, Cluster } from './cluster.js'
import type { Answer, Operation, Step } from './history.js'
import type { ClientPlan } from './plan.js'

/** An answer that is not there after so long is not waited for: what was asked for may or may not have happened. */
const PATIENCE = 10_000

/** As browsers do, clients keep their connections. */
const agent = new Agent({ keepAlive: true })

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
  readonly record = async (client: string, step: Step, run: (operation: Operation) => Promise<Answer>): Promise<void> => {
    const operation: Operation = { ...step, id: this.operations.length, client, invoked: this.#clock++ }
    this.operations.push(operation)
    try {
      const { effects, seen } = await run(operation)
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
  /** Of the process that the socket is connected to. */
  #generation = 0

  constructor(plan: ClientPlan, visitor: Visitor, record: Recorder['record']) {
    this.#plan = plan
    this.#visitor = visitor
    this.#record = record
  }

  async run(more: () => boolean): Promise<void> {
    while (more()) {
      const step = this.#plan.next()
      await this.#record(this.#plan.name, step, (operation) =>
        step.by === 'http' ? this.#request(step, operation) : this.#emit(step, operation),
      )
    }
  }

  close(): void {
    this.#socket?.disconnect()
  }

  async #request(step: Step, operation: Operation): Promise<Answer> {
    const { sid, cluster } = this.#visitor
    const address = await cluster.address(step.process)
    operation.generation = address.generation
    return (await post(address, this.#visitor.cookie, step.resave ? '/resave' : '/step', { step, sid })).body as Answer
  }

  async #emit(step: Step, operation: Operation): Promise<Answer> {
    const socket = await this.#connected(step.process)
    operation.generation = this.#generation
    const answer = await ask(socket, step, this.#visitor.sid)
    if (answer.lost) throw new SessionLost()
    if (answer.error) throw new Error(answer.error)
    return answer
  }

  async #connected(process: number): Promise<Client> {
    if (this.#socket?.connected) return this.#socket
    this.#socket?.disconnect()
    const { url, generation } = await this.#visitor.cluster.address(process)
    this.#generation = generation
    // Both ways of talking are part of the load.
    const polls = /[13579]$/.test(this.#plan.name)
    const socket = connect(url, {
      forceNew: true,
      reconnection: false,
      timeout: PATIENCE,
      transports: [polls ? 'polling' : 'websocket'],
      // Otherwise each poll has a connection of its own. The types know only agents of browsers.
      ...(polls && { agent: agent as unknown as string }),
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

interface SocketAnswer extends Answer {
  lost?: boolean
  error?: string
}

/** Rejects at once where the process says that it could not save something: an ack that waits for that never comes. */
function ask(socket: Client, step: Step, sid: string): Promise<SocketAnswer> {
  return new Promise((resolve, reject) => {
    const failed = (why: string): void => reject(new Error(why))
    socket.once('failed', failed)
    socket.timeout(PATIENCE).emit('step', step, sid, (error: Error | null, answer: SocketAnswer) => {
      socket.off('failed', failed)
      if (error) reject(error)
      else resolve(answer)
    })
  })
}

/** @returns what the process answers, and the cookie that it sets */
export async function post(
  { url }: Address,
  cookie: string,
  path: string,
  body: object,
): Promise<{ body: unknown; cookie: string | undefined }> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = { 'content-type': 'application/json', ...(cookie && { cookie }) }
    const sent = request(url + path, { method: 'POST', agent, headers, timeout: PATIENCE }, resolve)
    sent.on('error', reject)
    sent.on('timeout', () => sent.destroy(new Error('never answered')))
    sent.end(JSON.stringify(body))
  })
  const answer = await text(response)
  if (response.statusCode === 410) throw new SessionLost()
  if (response.statusCode !== 200) throw new Error(`${response.statusCode} ${answer.slice(0, 300)}`)
  return { body: JSON.parse(answer), cookie: response.headers['set-cookie']?.[0]?.split(';')[0] }
}

function message(error: unknown): string {
  return String((error as Error)?.message ?? error)
}
