import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'

/**
 * The shell in between kills the server when its standard input ends: also a test process that was itself killed leaves nothing
 * running. CONT first, as what is stopped would hear the other signal only later. Where the server ends by itself, so does what waits to
 * kill it: another process may have its number by then.
 */
const GUARD = `exec 3<&0
"$@" </dev/null 3<&- &
server=$!
echo "guarded $server"
(read _ <&3; kill -CONT $server $(cat /proc/$server/task/$server/children); kill -$SIGNAL $server) 2>/dev/null &
guard=$!
exec 3<&-
wait $server
code=$?
kill $guard 2>/dev/null
exit $code`

export interface GuardedOptions {
  env?: NodeJS.ProcessEnv
  /** As whom it runs, where that is not the user of the tests. */
  user?: { uid: number; gid: number }
  /** How it is told to end at once. */
  signal: 'KILL' | 'QUIT'
  /** What it prints when it can be used. */
  ready: RegExp
}

/** A server process of a test, with its children. */
export class Guarded {
  readonly #shell: ChildProcess
  readonly #pid: number

  private constructor(shell: ChildProcess, pid: number) {
    this.#shell = shell
    this.#pid = pid
  }

  /** Resolves when the server says that it is ready; rejects with what it printed if it ends before. */
  static start(command: string[], { env, user, signal, ready }: GuardedOptions): Promise<Guarded> {
    const shell = spawn('/bin/sh', ['-c', GUARD, 'guard', ...command], {
      env: { ...process.env, ...env, SIGNAL: signal },
      stdio: ['pipe', 'pipe', 'pipe'],
      cwd: '/',
      ...user,
    })
    return new Promise((resolve, reject) => {
      let printed = ''
      const see = (chunk: Buffer): void => {
        printed = (printed + chunk).slice(-20_000)
        const pid = /^guarded (\d+)$/m.exec(printed)?.[1]
        if (pid && ready.test(printed)) resolve(new Guarded(shell, Number(pid)))
      }
      shell.stdout?.on('data', see)
      shell.stderr?.on('data', see)
      shell.once('error', reject)
      shell.once('close', (code) => reject(new Error(`${command[0]} ended with ${code}:\n${printed}`)))
    })
  }

  /** Stops the server and its children where they are: connections stay open and nothing is answered. */
  pause(): void {
    process.kill(this.#pid, 'SIGSTOP')
    for (const child of childrenOf(this.#pid)) signalTo(child, 'SIGSTOP')
  }

  resume(): void {
    for (const child of childrenOf(this.#pid)) signalTo(child, 'SIGCONT')
    process.kill(this.#pid, 'SIGCONT')
  }

  /** Ends it at once, and resolves when it has ended. */
  async kill(): Promise<void> {
    if (this.#shell.exitCode !== null) return
    const closed = once(this.#shell, 'exit')
    this.#shell.stdin?.end()
    await closed
  }
}

/** A port of 127.0.0.1 that nobody used a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Starts something on a free port, again on another one where somebody else took it in between. */
export async function onFreePort<T>(start: (port: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePort())
    } catch (error) {
      if (attempt === 5 || !/in use|could not bind/i.test(String(error))) throw error
    }
  }
}

/** Postgres has a process per connection, each in a process group of its own. */
function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === parent)
    .map(Number)
}

function parentOf(pid: string): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1])
  } catch {
    return undefined
  }
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended by itself.
  }
}
