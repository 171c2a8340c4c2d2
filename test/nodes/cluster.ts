import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { io as connect, type Socket } from 'socket.io-client'
import { next } from '../support/wait.js'
import { watchErrorOutput } from '../support/warnings.js'
import type { NodeOptions } from './node.js'

const SCRIPT = fileURLToPath(new URL('./node.ts', import.meta.url))

/** A node in a process of its own. */
export class TestNode {
  readonly url: string
  /** What no library may leave to its host. */
  readonly crashes: string[] = []
  readonly #child: ChildProcess
  readonly #asked = new Map<number, (answer: { value?: any; error?: string }) => void>()
  #asks = 0

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.url = `http://127.0.0.1:${port}`
    child.on('message', (message: any) => {
      if (message.crash) this.crashes.push(message.crash)
      this.#asked.get(message.ask)?.(message)
    })
  }

  static async start(options: NodeOptions): Promise<TestNode> {
    const args = ['--import', 'tsx', SCRIPT, JSON.stringify(options)]
    // The channel also ends the child where this process is killed.
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] })
    watchErrorOutput('a node', child)
    const [message] = (await Promise.race([
      once(child, 'message'),
      once(child, 'close').then(() => {
        throw new Error('the node ended at once')
      }),
    ])) as [{ port?: number; crash?: string }]
    if (!message.port) throw new Error(message.crash)
    return new TestNode(child, message.port)
  }

  /** Calls what node.ts offers. */
  call(call: string, ...args: unknown[]): Promise<any> {
    const ask = ++this.#asks
    return new Promise((resolve, reject) => {
      this.#asked.set(ask, ({ value, error }) => (error ? reject(new Error(error)) : resolve(value)))
      this.#child.send({ ask, call, args })
    })
  }

  pause(): void {
    this.#child.kill('SIGSTOP')
  }

  resume(): void {
    this.#child.kill('SIGCONT')
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'close')
    this.#child.kill('SIGKILL')
    await ended
  }
}

/** A browser that may use any node. */
export class Visitor {
  cookie = ''
  readonly #sockets: Socket[] = []

  /** Its session's id. */
  get sid(): string {
    return decodeURIComponent(this.cookie).replace(/^connect\.sid=s:([^.]+)\..*$/, '$1')
  }

  async get(node: { url: string }, path: string): Promise<any> {
    const response = await fetch(`${node.url}${path}`, { headers: { cookie: this.cookie } })
    const set = response.headers.getSetCookie()[0]
    if (set) this.cookie = set.split(';')[0]!
    if (!response.ok) throw new Error(`${path} was answered with ${response.status}`)
    return response.json()
  }

  async connect(node: { url: string }, namespace = '/', more: object = {}): Promise<Socket> {
    const socket = connect(`${node.url}${namespace}`, {
      transports: ['websocket'],
      forceNew: true,
      extraHeaders: { cookie: this.cookie },
      reconnectionDelay: 20,
      reconnectionDelayMax: 100,
      ...more,
    })
    this.#sockets.push(socket)
    await next(socket, 'connect')
    return socket
  }

  leave(): void {
    for (const socket of this.#sockets) socket.disconnect()
  }
}
