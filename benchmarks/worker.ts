import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

type Commands = Record<string, (...args: any[]) => unknown>

/** A call that takes longer has gone wrong: the run goes on without it. In ms. */
const PATIENCE = 60_000

interface Answer {
  ask: number
  value?: any
  error?: string
}

/** A process of its own, and the commands that it offers. */
export class Worker<Offers extends object> {
  readonly #child: ChildProcess
  readonly #asked = new Map<number, (answer: Answer) => void>()
  #asks = 0

  private constructor(child: ChildProcess) {
    this.#child = child
    child.on('message', (answer: Answer) => this.#asked.get(answer.ask)?.(answer))
    child.on('exit', (code, signal) => {
      for (const answered of this.#asked.values()) answered({ ask: 0, error: `the process ended (${signal ?? code})` })
    })
  }

  /** @param config what the process's `serve` opens with */
  static async start<Offers extends object>(file: string, config: object = {}, node: string[] = []): Promise<Worker<Offers>> {
    const child = fork(file, { execArgv: ['--expose-gc', ...node], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    const worker = new Worker<Offers>(child)
    try {
      await worker.#ask('open', [config])
    } catch (error) {
      await worker.stop()
      throw error
    }
    return worker
  }

  call<Name extends keyof Offers & string>(
    name: Name,
    ...args: Offers[Name] extends (...args: infer Args) => unknown ? Args : never
  ): Promise<Offers[Name] extends (...args: any[]) => infer Result ? Awaited<Result> : never> {
    return this.#ask(name, args as unknown[])
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    // Its end of the channel closes, which ends it: by itself, so that a profile is written.
    if (this.#child.connected) this.#child.disconnect()
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 5000)
    await ended
    clearTimeout(late)
  }

  #ask(name: string, args: unknown[]): Promise<any> {
    const ask = ++this.#asks
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${name} was not answered in ${PATIENCE / 1000} s`)), PATIENCE)
      this.#asked.set(ask, ({ value, error }) => {
        clearTimeout(late)
        this.#asked.delete(ask)
        if (error === undefined) resolve(value)
        else reject(new Error(`${name}: ${error}`))
      })
      if (this.#child.connected) this.#child.send({ ask, name, args })
      else this.#asked.get(ask)?.({ ask, error: 'the process has ended' })
    })
  }
}

/** In a worker: offers what `open` makes. The process ends with the channel, so also where its parent was killed. */
export function serve<Config>(open: (config: Config) => Promise<object> | object): void {
  let commands: Commands = {
    async open(config: Config) {
      commands = (await open(config)) as Commands
    },
  }
  process.on('message', async ({ ask, name, args }: { ask: number; name: string; args: unknown[] }) => {
    try {
      const value = await commands[name]!(...args)
      process.send?.({ ask, value })
    } catch (error) {
      process.send?.({ ask, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    }
  })
  process.on('disconnect', () => process.exit())
}
